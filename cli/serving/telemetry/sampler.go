package telemetry

import (
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/time/rate"
)

// forcedPerSecond bounds the traces that callers ask for by traceparent. A proxy that passes
// on the header of its clients lets strangers ask.
const forcedPerSecond = 50

// newSampler decides on a request without a parent by the ratio. A trusted caller's
// traceparent decides on its own, within the budget. What is below a span of this process
// is traced with it.
func newSampler(ratio float64) sdk.Sampler {
	budget := budgetSampler{rate.NewLimiter(forcedPerSecond, forcedPerSecond)}
	return sdk.ParentBased(sdk.TraceIDRatioBased(ratio), sdk.WithRemoteParentSampled(budget))
}

// budgetSampler samples so many traces in a second.
type budgetSampler struct{ budget *rate.Limiter }

// ShouldSample implements sdk.Sampler.
func (s budgetSampler) ShouldSample(p sdk.SamplingParameters) sdk.SamplingResult {
	if s.budget.Allow() {
		return sdk.AlwaysSample().ShouldSample(p)
	}
	return sdk.NeverSample().ShouldSample(p)
}

// Description implements sdk.Sampler.
func (s budgetSampler) Description() string { return "Budget" }
