// Package eip is the EC2 side of hacluster: it observes Elastic IPs (EIPs) and moves them.
//
// What it is: a thin [Client] of one address, or a [Group] of several, over aws-sdk-go-v2, in which one call is exactly one HTTP request. The SDK's retries are
// off, net/http's silent repeat on a dead keep-alive connection cannot happen, and redirects are not followed. Who
// calls decides when to repeat, because each repeat of a mutating call needs a fresh permit (invariant I1).
//
// The permit is asked last: after credentials, signing, DNS, dial and TLS handshake, by the connection itself, directly
// before the write(2) that carries the whole request (see gate). A refusal means that no byte of the request was sent.
// The same place knows whether a byte went out at all, so an error says what may be concluded from it ([Classify]):
// "certainly not done" only if EC2 said so or nothing was sent; everything else is [Unknown] and may still land.
//
// [Identify] finds out which network interface and private address this machine has (IMDSv2 only), a [Finder] which
// instances carry a tag.
//
// A failover must not wait for what could have been done before it: [Client.Run] keeps one connection to the endpoint ready,
// TLS done (see spares), and fetches credentials before the old ones expire. It sends EC2 no request and takes no part in
// calls; without it they work, and may have to dial.
//
// What it is not: it knows nothing of Raft, terms or claims; it repeats no call, and has no back-off and no opinion on
// who should hold the address. The order of calls that makes a move safe is the controller's.
//
// Sources: the EC2 API reference (AssociateAddress, DisassociateAddress, DescribeAddresses, "Error codes for the Amazon
// EC2 API") and the EC2 user guide on the instance metadata service.
package eip
