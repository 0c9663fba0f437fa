// Package outagetest plays a scripted outage, always the same, so that what
// observers make of it can be compared word for word. Nothing in it is left to
// chance or to the machine: it runs in a testing/synctest bubble, without
// jitter, and no two of its calls are made at the same moment.
package outagetest
