package resilient

// checkKey returns why key must not be sent, or nil.
func (s *Store) checkKey(key string) error {
	var err error
	switch {
	case s.cfg.Keys == nil:
		err = CheckKey(key)
	case key == "":
		err = ErrEmptyKey
	default:
		err = s.cfg.Keys(key)
	}
	if err != nil {
		return err
	}
	if s.limits.MaxKey > 0 && len(key) > s.limits.MaxKey {
		return ErrKeyTooLarge
	}
	return nil
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
