package failover

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/holdfastkv/holdfast/backends/memkv"
)

func sealed(key string, e cacheEntry) []byte {
	raw := e.envelope()
	sealEnvelope(key, raw)
	return raw
}

func TestAnEnvelopeIsAsItIsDocumented(t *testing.T) {
	want := cacheEntry{0x0102030405060708, 0x1112131415161718, 0x2122232425262728, 0x3132333435363738, []byte("value")}
	raw := sealed("key", want)
	require.Equal(t, "\x01"+"\x01\x02\x03\x04\x05\x06\x07\x08"+"\x11\x12\x13\x14\x15\x16\x17\x18"+
		"\x21\x22\x23\x24\x25\x26\x27\x28"+"\x31\x32\x33\x34\x35\x36\x37\x38", string(raw[:33]))
	require.Equal(t, "value", string(raw[37:]))
	e, ok := openEnvelope("key", raw)
	require.True(t, ok)
	require.Equal(t, want, e)
}

func TestAnEnvelopeThatIsDamagedOrAnotherKeysIsNone(t *testing.T) {
	whole := sealed("key", cacheEntry{storedAt: 1, life: 2, gen: 3, value: []byte("value")})
	for i := range whole {
		for bit := range 8 {
			raw := bytes.Clone(whole)
			raw[i] ^= 1 << bit
			_, ok := openEnvelope("key", raw)
			require.False(t, ok, "bit %d of byte %d", bit, i)
		}
		_, ok := openEnvelope("key", whole[:i])
		require.False(t, ok, "the first %d bytes", i)
	}
	_, ok := openEnvelope("kez", whole)
	require.False(t, ok)
	_, ok = openEnvelope("key", append(whole, 0))
	require.False(t, ok)
}

func TestTheAgeOfAnEntryIsWhatTheClockSaysThatSaysMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kv, err := memkv.New(memkv.Config{})
		require.NoError(t, err)
		memory, err := memkv.New(memkv.Config{})
		require.NoError(t, err)
		c, err := WithCache(kv, memory, CacheConfig{MaxStale: time.Minute})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		time.Sleep(time.Hour)
		now := time.Now()
		for name, e := range map[string]struct {
			wall, life time.Duration // since it was stored
			other      bool
			age        time.Duration
			fit        bool
		}{
			"both agree":                      {time.Second, time.Second, false, time.Second, true},
			"the machine slept":               {30 * time.Minute, time.Second, false, 30 * time.Minute, false},
			"the machine slept a bit":         {30 * time.Second, time.Second, false, 30 * time.Second, true},
			"the clock was set back":          {-30 * time.Minute, 2 * time.Second, false, 2 * time.Second, true},
			"the clock was set back long ago": {time.Second, 30 * time.Minute, false, 30 * time.Minute, false},
			"another life":                    {time.Second, -time.Hour, true, time.Second, true},
			"another life, too old":           {time.Minute + 1, 0, true, time.Minute + 1, false},
			"another life, in the future":     {-1, 0, true, -1, false},
		} {
			entry := cacheEntry{storedAt: now.Add(-e.wall).UnixNano(), life: c.life, lifetime: c.age(now.Add(-e.life))}
			if e.other {
				entry.life++
			}
			age, current, fit := c.judge(c.stripe("k"), 0, entry)
			require.True(t, current)
			require.Equal(t, e.age, age, name)
			require.Equal(t, e.fit, fit, name)
		}
	})
}

func TestAnEntryOfAnotherLifeMustBeNewerThanTheLastWrite(t *testing.T) {
	c := &Cached{cfg: CacheConfig{MaxStale: time.Minute}, life: 1}
	s, at := &cacheStripe{}, time.Now().UnixNano()
	for floorAt, want := range map[int64]bool{at - 1: true, at: false, at + 1: false} {
		s.floorAt = floorAt
		_, _, fit := c.judge(s, 0, cacheEntry{storedAt: at, life: 2})
		require.Equal(t, want, fit, floorAt-at)
	}
}

func TestAClockThatIsSetBackLowersNoFloor(t *testing.T) {
	later := time.Now().Add(time.Hour).UnixNano()
	s := &cacheStripe{floorAt: later}
	s.raiseOthersLocked()
	require.Equal(t, later, s.floorAt)
}

func FuzzOpenEnvelope(f *testing.F) {
	f.Fuzz(func(t *testing.T, key string, value []byte, storedAt int64, life uint64) {
		if e, ok := openEnvelope(key, value); ok { // anything at all: no panic
			require.Equal(t, value, sealed(key, e))
		}
		e, ok := openEnvelope(key, sealed(key, cacheEntry{storedAt, life, storedAt, life, value}))
		require.True(t, ok)
		require.Equal(t, cacheEntry{storedAt, life, storedAt, life, e.value}, e)
		require.True(t, bytes.Equal(value, e.value))
		require.NotNil(t, e.value)
	})
}
