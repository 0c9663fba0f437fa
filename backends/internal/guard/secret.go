package guard

// Secret is a password or token that package fmt does not find: whoever prints
// what holds a store, with whatever verb, prints the address of a function. A
// method that hides it would not help: fmt calls none on what is in a field
// that is not exported.
type Secret func() string

// Hide returns text as a Secret.
func Hide(text string) Secret { return func() string { return text } }
