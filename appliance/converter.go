package appliance

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/tipring/tipring/appliance/gateway"
	"github.com/tipring/tipring/appliance/gotenberg"
	"github.com/tipring/tipring/imaging/raster"
)

const converterAlarm = "office-converter"

// withConverter has Office documents converted before they are rendered, if the configuration names a server for that.
func (a *Appliance) withConverter(render gateway.RenderFunc) (gateway.RenderFunc, error) {
	r := a.cfg.Render
	if r.Gotenberg == "" {
		a.alarms.Clear(converterAlarm)
		return render, nil
	}
	c, err := gotenberg.New(gotenberg.Options{URL: r.Gotenberg, Timeout: time.Duration(r.GotenbergTimeout), DOCX: r.GotenbergDOCX, Tell: a.converterState})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, job raster.Job, out *os.File) (raster.Result, error) {
		job, done, err := c.Job(ctx, job, filepath.Dir(out.Name()))
		defer done()
		if err != nil {
			return raster.Result{}, err
		}
		return render(ctx, job, out)
	}, nil
}

// converterState hears how the server was found.
func (a *Appliance) converterState(err error) {
	if err == nil {
		a.alarms.Clear(converterAlarm)
		return
	}
	a.log.Warn("converter of Office documents", "err", err)
	a.alarms.Raise(converterAlarm, "Faxes with Office documents wait: "+err.Error()+".",
		"Start the Gotenberg server, or correct [render] gotenberg. Faxes that wait longer than gotenberg_wait are given up, and their senders told.")
}
