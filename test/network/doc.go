// Package network holds the proof that the remote backends, and a group of
// them, keep to the contract while the network between them and their servers
// misbehaves. Toxiproxy runs in the test's own process.
package network
