// Package etcdkv keeps a store in an etcd cluster, with etcd's client v3.
//
//	kv, err := etcdkv.Open([]string{"localhost:2379"}, etcdkv.Config{Namespace: "sessions"})
//	...
//	store, err := resilient.Wrap(kv, resilient.Config{}) // guards it, and closes it
//
// # What is stored where
//
// Every key is a key of etcd, Config.Namespace and a slash before it; every
// value is stored as it is. A namespace has no slash in it, so that none is a
// part of another. Keys that are in etcd under the same prefix already are the
// store's, and those of them that are none of the contract's are left alone. The
// library's own keys, which Health uses, have a control character behind the
// slash and are never listed.
//
// With users, the role needs the right to read and to write the prefix
// Config.Namespace + "/".
//
// # What it refuses
//
// Keys outside the contract's domain of 1 to 512 bytes; values over
// Config.MaxValue; namespaces with more in them than letters, digits, '_', '-'
// and '.'; endpoints with a user, a path or a query in them, of different
// schemes, or with http where Config.TLS is set: the driver would drop it.
//
// # Reads and writes
//
// GetRaw sees every write that was acknowledged before, whichever member
// answers. List is of one moment. A batch of up to 128 keys and 1 MiB is one
// transaction, a larger one is several: it is not atomic.
//
// Requests say that they need a leader: a member that is cut off from the
// others refuses them at once, where it would let them wait.
//
// # What became of a write
//
// A call does not wait for a connection that cannot be made: it is refused, with
// the reason. A write matches resilient.ErrRefused if it never had a stream on a
// connection, or if the server's answer is one that it gives in place of
// applying it (no leader, too many requests, a corrupt cluster, a user or a
// token that is not good). Everything else is ambiguous: an end of ctx, a
// connection that broke, a timeout or a change of leader on the server's side.
// So is a database that is full (the NOSPACE alarm): etcd says that before it
// applies a write, but also once after it has applied the one that went over
// the quota.
//
// A server that was killed refuses calls until it is back and then for up to
// half a second, after calls that were under way have failed ambiguously. Behind
// several endpoints the others serve meanwhile. Calls go to all endpoints in
// turn: one that is frozen or behind a silent network keeps its share of them
// waiting, for 13 s at most; then its connection is given up.
//
// # What is set on the driver
//
//   - MaxUnaryRetries 1, which is one try: the default is a hundred, and a retry
//     hides what became of the first.
//   - WaitForReady off for each call: with it a call that finds no connection
//     waits until its ctx ends, and looks like one whose answer was lost.
//   - DialKeepAliveTime 10 s and DialKeepAliveTimeout 3 s: by default a
//     connection that leads nowhere is kept for a quarter of an hour.
//     PermitWithoutStream stays off, because etcd takes such pings for an
//     attack and closes the connection.
//   - Reconnecting after 50 ms, and at most 500 ms: grpc's default goes up to
//     two minutes. One attempt may take Config.DialTimeout.
//   - A logger that is silent: the default one writes to stderr.
//   - RejectOldCluster stays off: it would make Open wait for the servers.
//   - User and password are given to the server with the first call, and again
//     when a token has come to its end, because the driver does it while it is
//     opened.
//
// There is one connection for each endpoint. New changes nothing on the client
// it is given, other than to let it connect again at once when Health finds it
// without a connection.
//
// Tested with client v3.7.3 and etcd 3.4.23, which is Debian 12's etcd-server.
package etcdkv
