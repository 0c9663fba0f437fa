// Package backends_test holds what compares the backends with each other, and
// groups of them, on real servers.
package backends_test
