package t30

import (
	"context"
	"time"
)

// What a [Terminal] whose modem runs T.30 by itself (Class 2) has to decide as the engine does.

// LimitedTo returns what a modem with capabilities c can do in a session; what it does not state is what every station of ours can.
func (c Capabilities) LimitedTo(s Session) Capabilities { return limited(c, s) }

// LimitFor returns what page n of a call, from 1, may be coded for at rate bit/s between us and a far end.
func LimitFor(own, far Capabilities, rate, n int) PageLimit {
	l := pageLimit(own, far, rate)
	if !l.ECM && n > 1 {
		l.MinPage = minPage
	}
	return l
}

// Allows tells whether a page's format keeps to the limit.
func (l PageLimit) Allows(f PageFormat) bool { return l.allows(f) }

// Same tells whether a page coded for l serves for o too: with ECM nothing depends on the rate.
func (l PageLimit) Same(o PageLimit) bool { return l.same(o) }

// NotConnected reports a call that came to nothing before T.30 began: err is a [*CallError], [ErrRinging], [ErrVoice], [ErrData] or
// a fault of our modem. k is KindDial or KindAnswer.
func NotConnected(ctx context.Context, start time.Time, k Kind, err error) (Report, error) {
	return notConnected(ctx, start, k, err)
}

// MaxResends is how often a page goes out again after RTN, beyond the first time.
const MaxResends = maxResends

// MaxRefused is how many pages in a row are refused (RTN) before a call is given up.
const MaxRefused = maxRTN
