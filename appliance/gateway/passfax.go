package gateway

import (
	"context"
	"io"
	"os"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/imaging/raster"
	"github.com/tipring/tipring/smtpstack/message"
)

// passFax passes the pages of a mail that is a fax already (T.37, RFC 3965 2.1; RFC 3302, RFC 3949) with their pels as they
// are, without a cover page unless it was asked for in so many words. passed is false when the mail is no fax, or does not
// keep what it promises (other page formats, grey or coloured pages, damage): then it is drawn like any other mail.
func (g *Gateway) passFax(ctx context.Context, j queue.Job, msg *message.Message, out *os.File) (pages int, passed bool, err error) {
	part, ok := msg.FaxImage()
	if !ok || j.Cover == "yes" {
		return 0, false, nil
	}
	job := raster.Job{Options: g.o.RenderOptions}
	job.Options.FaxPages = true
	defer func() { closeInputs(job) }()
	if err := addFile(&job, part); err != nil {
		return 0, false, err
	}
	res, err := g.o.Render(ctx, job, out)
	switch {
	case err == nil && len(res.Failed) == 0 && len(res.Pages) > 0:
		return len(res.Pages), true, nil
	case ctx.Err() != nil:
		return 0, false, ctx.Err()
	}
	g.o.Log.Info("a fax by mail is not as it promises and is drawn anew", "mail", j.Mail, "profile", part.FaxProfile, "err", err, "detail", raster.Detail(err))
	if err := out.Truncate(0); err != nil {
		return 0, false, err
	}
	_, err = out.Seek(0, io.SeekStart)
	return 0, false, err
}
