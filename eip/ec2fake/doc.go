// Package ec2fake emulates, over real HTTP, the part of EC2 that moving an Elastic IP needs: the Query API (version
// 2016-11-15) and the instance metadata service, version 2. The unmodified AWS SDKs and the aws command accept it.
//
// It is an emulator, not a mock: it keeps the state of addresses, network interfaces and instances, recomputes each
// request's signature (SigV4), hands out role credentials by IMDS and knows them again, counts down the documented
// request buckets, and answers with EC2's own error codes. What the documentation promises and the fence of hacluster
// rests on is kept exactly: a fresh association id for each new association, the same id for an idempotent repeat, an
// old id that ends nothing newer, AllowReassociation=false that fails while another holds the address.
//
// Faults are injected while it runs ([Fault]): latency before and after the effect, effects that land late, lost answers,
// server errors with and without effect, throttling, refusals, stale reads. An effect that was accepted happens even if
// the client goes away.
//
// Each call is recorded ([Call]), in memory and as one JSON line. Ids, keys and request ids follow from counters, so that
// runs can be compared.
//
// What it is not: complete, or a security boundary. It serves one account in one region; a role may do everything unless a
// Fault denies it.
package ec2fake
