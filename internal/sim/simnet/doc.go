// Package simnet is an in-memory network for simulations that run in a testing/synctest bubble: hosts that listen and dial,
// byte streams that take their time, links that are cut in one direction, hosts that freeze, crash or fall silent.
//
// It behaves as TCP does towards programs, and models what decides about late messages: what was written is on its way, whoever
// has given up meanwhile. A cut link holds it and delivers it after the cut, as retransmission does; closing the connection at
// the sender takes nothing back.
//
// The send buffer has no limit: in what is simulated here every sender waits for an answer before it sends more.
package simnet
