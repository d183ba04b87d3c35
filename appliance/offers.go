package appliance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/call"
	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/t30"
)

// offers keeps the configured documents ready for callers that poll: rendered once, and again when the file changes, since
// a poller waits for seconds only.
type offers struct {
	list   []OfferConfig
	dir    string // of the rendered pages
	render gateway.RenderFunc
	opt    raster.Options
	alarms *gateway.Alarms
	log    *slog.Logger

	mu    sync.Mutex
	ready map[int]readyOffer
}

// readyOffer is a rendered document and the file that it was made of.
type readyOffer struct {
	path     string
	modified time.Time
	size     int64
}

// offerCheck is how often the files are looked at for changes.
const offerCheck = 15 * time.Second

// run keeps the documents ready until ctx ends.
func (o *offers) run(ctx context.Context) error {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return fmt.Errorf("appliance: offers: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(o.dir, ".new-*"))
	for _, name := range left {
		err = errors.Join(err, os.Remove(name)) // a killed run's
	}
	if err != nil {
		return fmt.Errorf("appliance: offers: %w", err)
	}
	for {
		for i, c := range o.list {
			if err := o.refresh(ctx, i, c); err != nil && ctx.Err() == nil {
				o.log.Error("document to be polled", "file", c.File, "err", err)
				o.alarms.Raise("offer/"+c.File, fmt.Sprintf("The document %s cannot be offered to callers that poll: %v.", c.File, err),
					"Put a readable document there, or take its [[offer]] out of the configuration.")
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(offerCheck):
		}
	}
}

// refresh renders document i if its file has changed. One that cannot be read is not offered any more.
func (o *offers) refresh(ctx context.Context, i int, c OfferConfig) (err error) {
	defer func() {
		if err != nil && ctx.Err() == nil {
			o.put(i, readyOffer{})
		}
	}()
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("no plain file")
	}
	now := readyOffer{path: filepath.Join(o.dir, strconv.Itoa(i+1)+".tif"), modified: info.ModTime(), size: info.Size()}
	o.mu.Lock()
	same := o.ready[i] == now
	o.mu.Unlock()
	if same {
		return nil
	}
	if err := o.make(ctx, f, now.path); err != nil {
		return err
	}
	o.put(i, now)
	o.alarms.Clear("offer/" + c.File)
	o.log.Info("document can be polled", "file", c.File, "selective", c.Selective)
	return nil
}

// make renders the document of f into the file named path.
func (o *offers) make(ctx context.Context, f *os.File, path string) error {
	tmp, err := os.CreateTemp(o.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // nothing once it is renamed
	res, err := o.render(ctx, raster.Job{Inputs: []raster.Input{{File: f, Name: filepath.Base(f.Name())}}, Options: o.opt}, tmp)
	if err == nil && len(res.Failed) > 0 {
		err = &res.Failed[0]
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func (o *offers) put(i int, r readyOffer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r.path == "" {
		delete(o.ready, i)
		return
	}
	o.ready[i] = r
}

// forCall returns what one call on the line offers and a function that closes what it opened; nil: nothing is ready.
func (o *offers) forCall(l *line) (*call.Offers, func()) {
	var list []call.Offer
	var open []*call.TIFF
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, c := range o.list {
		r, ok := o.ready[i]
		if !ok {
			continue
		}
		list = append(list, call.Offer{Selective: c.Selective, Password: c.Password, Open: func(far t30.Remote) (t30.PageSource, error) {
			pages, err := call.OpenTIFF(r.path)
			if err != nil {
				return nil, err
			}
			open = append(open, pages)
			l.log.Info("polled", "file", c.File)
			return call.NewDocument(call.DocumentOptions{Pages: pages, Live: l.live.page,
				Header: &call.Header{FromName: l.cfg.Header, FromNumber: l.cfg.StationID, To: far.ID}}), nil
		}})
	}
	if len(list) == 0 {
		return nil, func() {}
	}
	return call.NewOffers(list...), func() {
		for _, p := range open {
			p.Close()
		}
	}
}
