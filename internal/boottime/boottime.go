// Package boottime reads CLOCK_BOOTTIME, the clock that goes on while the guest is suspended.
//
// Go's monotonic time stops in a suspended guest (clock_gettime(2), CLOCK_MONOTONIC), so an age measured with it looks
// young after a wake-up. Every age that safety rests on (quorum evidence, reigns on the wire) is measured here instead.
package boottime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since boot, suspensions included.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Linux has had this clock since 2.6.39; without it no age can be trusted.
		panic("read CLOCK_BOOTTIME: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
