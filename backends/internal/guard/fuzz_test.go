package guard

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzTheEndOfAPrefixSelectsItsKeysAndNoOther(f *testing.F) {
	f.Fuzz(func(t *testing.T, prefix, other string) {
		end, ok := PrefixEnd(prefix)
		require.Equal(t, strings.ReplaceAll(prefix, "\xff", "") != "", ok)
		for _, key := range []string{other, prefix, prefix + other, other + prefix, prefix[:len(prefix)/2]} {
			require.Equal(t, strings.HasPrefix(key, prefix), prefix <= key && (!ok || key < end), "%q", key)
		}
	})
}

func FuzzATableNameIsOneIdentifier(f *testing.F) {
	plain := regexp.MustCompile(`\A\w{1,63}(\.\w{1,63})?\z`)
	f.Fuzz(func(t *testing.T, text string) {
		faults := NewFaults("somekv")
		parts := faults.TableName("Namespace", text)
		if err := faults.Err(); err != nil {
			require.Equal(t, 1, strings.Count(err.Error(), "Config.Namespace"))
			return
		}
		require.Regexp(t, plain, text)
		require.Equal(t, text, strings.Join(parts, "."))
		for _, part := range parts {
			require.NotContains(t, "0123456789", part[:1])
		}
	})
}
