package owner

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A holder of one class is none of another, whatever its name begins with.
func TestAccess(t *testing.T) {
	t.Parallel()
	for _, holder := range []Holder{"", OfSubject(""), OfAddress("2001:db8::/64"), OfAddress("s:alice")} {
		require.True(t, holder.Capability(), holder)
		require.True(t, Access{}.Reaches(holder), holder)
		require.Empty(t, holder.Subject())
	}
	for holder, subject := range map[Holder]string{OfSubject("alice"): "alice", OfSubject("a:b"): "a:b", OfSubject("s:"): "s:"} {
		require.Equal(t, subject, holder.Subject())
		require.True(t, Access{Subject: subject}.Reaches(holder))
		require.True(t, Access{Subject: "shop", Orders: true}.Reaches(holder))
		require.False(t, Access{Subject: "bob"}.Reaches(holder))
		require.False(t, Access{}.Reaches(holder))
	}
	require.False(t, Access{Subject: "alice"}.Reaches(OfOwnerRef("alice")))
	require.False(t, Access{}.Reaches(OfOwnerRef("alice")))
	require.True(t, Access{Orders: true}.Reaches(OfOwnerRef("alice")))
}
