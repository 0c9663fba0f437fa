package mongokv

import (
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// keysWith returns the condition on _id that every key with prefix meets; ok is
// false if no key can have it. Keys that meet it may still lack the prefix: a
// string of MongoDB's is UTF-8, so that the end of a prefix that is cut within a
// character cannot be part of the condition.
func keysWith(prefix string) (condition bson.D, ok bool) {
	whole := prefix
	for i := 0; i < len(prefix); {
		r, n := utf8.DecodeRuneInString(prefix[i:])
		if r == utf8.RuneError && n == 1 {
			if utf8.FullRuneInString(prefix[i:]) {
				return nil, false // not the beginning of any character
			}
			whole = prefix[:i]
			break
		}
		i += n
	}
	condition = bson.D{{Key: "$gte", Value: whole}}
	if end, bounded := after(whole); bounded {
		condition = append(condition, bson.E{Key: "$lt", Value: end})
	}
	return condition, true
}

// after returns the least valid string that comes after every one with prefix,
// which is valid; ok is false if there is none. The order of UTF-8's bytes is
// that of its characters.
func after(prefix string) (end string, ok bool) {
	const beforeSurrogates, afterSurrogates = 0xd7ff, 0xe000 // what lies between is no character
	for len(prefix) > 0 {
		r, n := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-n]
		switch r {
		case utf8.MaxRune:
			continue
		case beforeSurrogates:
			return prefix + string(rune(afterSurrogates)), true
		}
		return prefix + string(r+1), true
	}
	return "", false
}
