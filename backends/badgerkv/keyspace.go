package badgerkv

// maxKey is the longest key of the contract; badger itself allows 65000 bytes.
const maxKey = 512

// First bytes of the keys in the database. Neither is '!', which begins
// badger's own keys.
const (
	markData   = 'h'
	markCanary = 'H'
)

// keyspace turns keys of a namespace into keys of the database: a mark, the
// length of the namespace in one byte, the namespace, the key. With the length
// in front no namespace is a prefix of another one's keys.
type keyspace struct {
	prefix string
	canary []byte
}

func newKeyspace(namespace string) keyspace {
	rest := string([]byte{byte(len(namespace))}) + namespace //#nosec G115 -- validate allows 255 bytes
	return keyspace{
		prefix: string(rune(markData)) + rest,
		canary: []byte(string(rune(markCanary)) + rest),
	}
}

// key returns the database's key for key.
func (s keyspace) key(key string) []byte {
	out := make([]byte, 0, len(s.prefix)+len(key))
	out = append(out, s.prefix...)
	return append(out, key...)
}

// name undoes key.
func (s keyspace) name(key []byte) string { return string(key[len(s.prefix):]) }
