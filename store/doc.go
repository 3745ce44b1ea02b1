// Package store keeps the tokens of the engine beyond the life of a process. It
// owns the adapters of [refresher.Store], what a token looks like in them, and
// how it is encrypted.
//
// Whatever keeps tokens is not trusted with them. A token is written as one
// sealed value, under a name that is an HMAC: who can read the storage sees how
// many tokens there are, how long they are and when they change; who can write
// to it can remove a token or bring an older one back. In Redis that also goes for
// when tokens begin and end, whether they were refused, and who may log in, which
// are beside the sealed value; a token of one's own or another account's cannot be
// put there.
//
// What every adapter must do is tested by the package store/storetest.
package store
