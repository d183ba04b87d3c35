package appliance

import (
	"context"
	"time"

	"github.com/tipring/tipring/appliance/control"
	"github.com/tipring/tipring/appliance/queue"
)

// Remembered implements [control.Numbers].
func (a *Appliance) Remembered(context.Context) ([]control.Number, error) {
	return RememberedNumbers(a.q.Memory(), time.Now())
}

// Forget implements [control.Numbers].
func (a *Appliance) Forget(_ context.Context, number string) error {
	return known(a.q.Memory().Forget(number))
}

// RememberedNumbers is what a memory holds, as the commands show it: also without a running appliance.
func RememberedNumbers(m *queue.Memory, now time.Time) ([]control.Number, error) {
	list, err := m.List()
	out := make([]control.Number, 0, len(list))
	for _, f := range list {
		h, since := f.Hint(now)
		n := control.Number{Number: f.Number, Begins: h.String(), MaxRate: h.MaxRate, NoECM: h.NoECM, Alone: f.TakesOne(now), Since: since, Last: f.Last}
		if n.Since.IsZero() && n.Alone {
			n.Since = f.Alone.Since
		}
		out = append(out, n)
	}
	return out, err
}
