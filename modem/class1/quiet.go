package class1

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tipring/tipring/modem/at"
	"github.com/tipring/tipring/t30"
)

// flagTail is how long the flags after a frame may last: T.30 names no limit, machines send one to five (133 ms).
const flagTail = 400 * time.Millisecond

// awaitSilence is the pause after a frame whose OK came before the end of its carrier: +FRS (T.31 8.3.2) by the modem, which hears the
// far end's last flags. Field: what HylaFAX does after every frame.
func (l *line) awaitSilence(ctx context.Context, units time.Duration) error {
	l.earlyOK = false
	r, err := l.command(ctx, fmt.Sprintf("AT+FRS=%d", units), units*10*time.Millisecond+flagTail)
	switch {
	case errors.Is(err, at.ErrNoReply):
		return l.ch.Abort(ctx)
	case err == nil && r.Code == at.Error:
		return fmt.Errorf("+FRS: %w (%s)", t30.ErrHungUp, r.Text)
	}
	return err
}
