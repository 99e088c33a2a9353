// Package tokens checks bearer tokens: JSON Web Tokens (RFC 7519), signed with a shared secret or with a key of the
// issuer's key set. It also makes tokens for development.
//
// Terms: the issuer makes tokens. Its key set (JWKS, RFC 7517) has its public keys. A token's id is its claim jti.
// Rotation means that the issuer signs with a new key.
//
// A token is accepted when its signature fits, and its claims: exp (required), nbf, iss and aud (where the settings name
// one) and sub (required). The claim scope has the caller's scopes, with spaces between them. Clocks may differ by
// [Leeway].
//
// Invariants:
//   - The algorithm is one that a setting allows: HS256 for a secret; RS256, ES256 and EdDSA for a key set. "none" never
//     is. A public key never verifies HS256, and the secret never verifies anything else.
//   - A token has a bounded size. So has what is cached, the key set, and the list of revoked tokens.
//   - A key that is not known causes at most one request to the issuer in each refetchIntervalMin, whatever callers send.
//   - No message and no line of the log has a token or a secret.
//
// May import: guard, models, golang-jwt, keyfunc, otter.
//
// When the issuer cannot be reached, the keys that are known stay in use. Without any, every token is UNAVAILABLE.
package tokens
