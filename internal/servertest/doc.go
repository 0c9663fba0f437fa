// Package servertest starts real database servers for tests, on free ports of
// the loopback interface and in temporary folders, and stops exactly those. A
// test can kill a server, freeze it, wake it and start it again on the same
// port with the same data.
//
// A server whose program is not there makes the test skip, with a message that
// names the variable which tells where it is. Servers run on Linux only.
package servertest
