package gateway

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/tipring/tipring/appliance/queue"
	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/message"
)

// Expand makes one job for each recipient of accepted mails, until ctx ends.
func (g *Gateway) Expand(ctx context.Context) error {
	for {
		changed, began := g.q.Changed(), time.Now()
		mails, err := g.q.PendingMails(expandAtOnce)
		if err != nil {
			return err
		}
		if err := g.expandAll(mails); err != nil {
			return err
		}
		if err := g.q.Rest(ctx, time.Since(began)); err != nil { // the disk is for the mails that come in, above all
			return err
		}
		if len(mails) == expandAtOnce {
			continue // there may be more
		}
		if err := g.idle(ctx, changed, time.Time{}); err != nil {
			return err
		}
	}
}

// expandAtOnce is how many mails are expanded at a time: their transactions share their syncs.
const expandAtOnce = 64

func (g *Gateway) expandAll(mails []queue.Mail) error {
	g.expanding.Lock()
	defer g.expanding.Unlock()
	var wg sync.WaitGroup
	failed := make([]error, len(mails))
	for i, m := range mails {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil { // for the supervisor, as if there were one goroutine
					failed[i] = fmt.Errorf("gateway: mail %s: panic: %v\n%s", m.ID, p, debug.Stack())
				}
			}()
			_, failed[i] = g.expandOne(m)
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// expand makes the jobs of one mail. Their documents follow: a mail that cannot be read still has a job for each
// recipient, and so a notice for each.
func (g *Gateway) expand(m queue.Mail) ([]queue.JobID, error) {
	g.expanding.Lock() // a submission expands its own mail at once
	defer g.expanding.Unlock()
	return g.expandOne(m)
}

func (g *Gateway) expandOne(m queue.Mail) ([]queue.JobID, error) {
	if now, err := g.q.Mail(m.ID); err != nil || now.State == queue.MailExpanded {
		return now.Jobs, err
	}
	var list []recipient
	if err := json.Unmarshal(m.Meta, &list); err != nil {
		return nil, fmt.Errorf("gateway: mail %s: recipients: %w", m.ID, err)
	}
	head := g.readHead(m)
	fresh, err := g.firstTime(m, list)
	if err != nil {
		return nil, err
	}
	subject, all, err := smtpstack.ParseSubject(head.Subject)
	if err != nil { // refused when it came; of a mail from before that rule the subject stays as it is
		subject, all = head.Subject, smtpstack.Options{}
	}
	var jobs []queue.NewJob
	var repeats []string
	for i, r := range list {
		switch {
		case r.Forward != "":
		case r.Number == "":
			if err := g.toPostmaster(m, head); err != nil {
				return nil, err
			}
		case !fresh[i]:
			repeats = append(repeats, partyOf(r.Number, cmp.Or(r.Name, all.To)))
		default:
			notices := cmp.Or(m.Sender, m.From)
			if r.Silent {
				notices = ""
			}
			address := ""
			if i < len(m.To) {
				address = m.To[i]
			}
			jobs = append(jobs, queue.NewJob{Receipt: g.receiptFor(m, head, r), Address: address, Notify: r.Notify, OriginalRecipient: r.Original, EnvelopeID: m.EnvelopeID, MessageID: m.MessageID, Sender: notices, Number: r.Number,
				Subaddress: cmp.Or(r.Subaddress, all.Subaddress), Name: cmp.Or(r.Name, all.To), Subject: subject,
				Resolution: cmp.Or(r.Resolution, all.Resolution), Cover: cmp.Or(r.Cover, coverWords[all.Cover])})
		}
	}
	note := ""
	if n := len(repeats); n > 0 {
		note = fmt.Sprintf("%d of %d recipients already had a mail with this Message-ID", n, len(list))
		g.o.Log.Warn("repeated mail", "mail", m.ID, "message_id", m.MessageID, "recipients", n)
	}
	ids, err := g.q.ExpandMail(m.ID, queue.Expansion{Jobs: jobs, Relays: g.relays(m, list, head), Note: note, Repeated: repeats})
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if i < len(jobs) {
			g.o.Log.Info("job made", "job", id, "mail", m.ID, "number", queue.ShortNumber(jobs[i].Number))
		}
	}
	return ids, nil
}

// readHead reads a mail's header; what cannot be read is left empty here and fails where the document is made.
func (g *Gateway) readHead(m queue.Mail) *message.Message {
	f, err := g.st.OpenFile(m.File)
	if err != nil {
		return &message.Message{}
	}
	defer f.Close()
	text, err := headerOf(f)
	if err != nil {
		return &message.Message{}
	}
	head, err := message.Parse(bytes.NewReader(text), message.Limits{}, nil)
	if err != nil && head == nil {
		return &message.Message{}
	}
	return head
}

// headerOf reads a message's header; the body has its turn when the document is made.
func headerOf(r io.Reader) ([]byte, error) {
	var text []byte
	lines := bufio.NewReader(io.LimitReader(r, maxHeader))
	for {
		line, err := lines.ReadSlice('\n')
		text = append(text, line...)
		switch {
		case errors.Is(err, io.EOF), err == nil && len(line) == len("\r\n") && bytes.HasSuffix(text, []byte("\r\n\r\n")):
			return text, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// seen is who had a mail with a Message-ID.
type seen struct {
	Mail queue.MailID `json:"mail"`
	At   time.Time    `json:"at"`
}

var seenTable = store.NewTable[seen]("message ids")

// seenFor is how long a repeat is known: mail servers give up after five days.
const seenFor = 7 * 24 * time.Hour

// firstTime marks the mail's Message-ID for each number and tells which of the recipients had none before. It gives the
// same answer when it runs again for the same mail after a crash.
func (g *Gateway) firstTime(m queue.Mail, list []recipient) ([]bool, error) {
	fresh := make([]bool, len(list))
	inMail := map[string]bool{}
	err := g.st.UpdateShared(func(tx *store.Tx) error {
		clear(inMail)
		for i, r := range list {
			to := r.Number + "/" + r.Subaddress
			fresh[i] = !inMail[to]
			inMail[to] = true
			if m.MessageID == "" || r.Number == "" || !fresh[i] {
				continue
			}
			sum := sha256.Sum256([]byte(m.MessageID + "\x00" + to))
			key := hex.EncodeToString(sum[:16])
			old, err := seenTable.Get(tx, key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			if err == nil && old.Mail != m.ID && m.Received.Sub(old.At) < seenFor {
				fresh[i] = false
				continue
			}
			if err := seenTable.Put(tx, key, seen{m.ID, m.Received}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("gateway: mail %s: %w", m.ID, err)
	}
	return fresh, nil
}

// forgetSeen takes out what is too old to matter.
func (g *Gateway) forgetSeen(now time.Time) error {
	return g.st.Update(func(tx *store.Tx) error {
		var old []string
		err := seenTable.Each(tx, func(key string, s seen) error {
			if now.Sub(s.At) >= seenFor {
				old = append(old, key)
			}
			return nil
		})
		for _, key := range old {
			err = errors.Join(err, seenTable.Delete(tx, key))
		}
		return err
	})
}

// toPostmaster passes the text of a mail to the appliance's keeper on as an alarm.
func (g *Gateway) toPostmaster(m queue.Mail, head *message.Message) error {
	text := "The mail cannot be read."
	if f, err := g.st.OpenFile(m.File); err == nil {
		full, _ := message.Parse(f, message.Limits{TextBytes: 64 << 10}, nil)
		f.Close()
		text, _ = full.PlainText()
	}
	return g.q.AddAlarm("postmaster "+string(m.ID), queue.Alarm{
		Subject: "Mail to the postmaster: " + head.Subject,
		Text:    "From: " + m.From + "\n\n" + text,
	})
}

// removeAll removes a working folder; what is left is cleared at the next start.
func removeAll(dir string) { _ = os.RemoveAll(dir) }

// short bounds a text for a person in a list.
func short(s string, n int) string {
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
