package resilient

// keyCheck returns what says why a key must not be sent, or nil: what Config.Keys
// and a store's longest key leave to say. Mostly that is CheckKey.
func keyCheck(keys func(string) error, longest int) func(string) error {
	if keys == nil {
		if longest <= 0 || longest >= maxKey {
			return CheckKey
		}
		keys = CheckKey
	}
	return func(key string) error {
		if key == "" {
			return ErrEmptyKey
		}
		if err := keys(key); err != nil {
			return err
		}
		if longest > 0 && len(key) > longest {
			return ErrKeyTooLarge
		}
		return nil
	}
}

// checkPair returns why key must not be set to value, or nil.
func (s *Store) checkPair(key string, value []byte) error {
	if err := s.checkKey(key); err != nil {
		return err
	}
	if s.limits.MaxValue > 0 && len(value) > s.limits.MaxValue {
		return ErrValueTooLarge
	}
	return nil
}

func (s *Store) checkKeys(keys []string) error {
	for _, key := range keys {
		if err := s.checkKey(key); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) checkPairs(kv map[string][]byte) error {
	for key, value := range kv {
		if err := s.checkPair(key, value); err != nil {
			return err
		}
	}
	return nil
}
