package queue

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/tipring/tipring/appliance/store"
	"github.com/tipring/tipring/t30"
)

func routed() Options {
	o := eager()
	o.Route = func(_ *store.Tx, f Fax) []string {
		if f.Dialed == "0100" {
			return []string{"ann@contoso.test"}
		}
		return nil
	}
	return o
}

// pageFile makes a page's file, published and recorded as call.Sink does it.
func pageFile(t *testing.T, q *Queue) string {
	t.Helper()
	name, err := q.st.WriteFile(store.Pages, []byte("coded"))
	must(t, err)
	return name
}

func TestFax_CompleteIsDeliveredOnce(t *testing.T) {
	q := open(t, routed())
	r := q.Reception(NewFax{Line: "east", Dialed: "0100", Started: time.Now()})
	must(t, r.PutPage(t30.Remote{ID: "+1 555 0100", Subaddress: "7"}, 1, FaxPage{File: pageFile(t, q), Open: true}))
	must(t, r.PutPage(t30.Remote{}, 1, FaxPage{File: mustFax(t, q, r.ID()).Pages[0].File, Confirmed: true}))
	must(t, r.PutPage(t30.Remote{}, 2, FaxPage{File: pageFile(t, q), Confirmed: true}))
	if err := r.PutPage(t30.Remote{}, 4, FaxPage{}); !errors.Is(err, ErrState) {
		t.Errorf("page 4 after page 2: %v", err)
	}
	f, ok, err := r.Finish(FaxEnd{Code: t30.CodeOK, Complete: true})
	if err != nil || !ok || f.State != FaxComplete || len(f.Pages) != 2 || f.RemoteID != "+1 555 0100" || f.Subaddress != "7" {
		t.Fatalf("%+v, %v, %v", f, ok, err)
	}
	if _, _, err := r.Finish(FaxEnd{}); !errors.Is(err, ErrState) {
		t.Errorf("finished twice: %v", err)
	}
	o, ok, err := q.NextOut(time.Now())
	if err != nil || !ok || o.Kind != KindFax || o.Fax != f.ID || len(o.To) != 1 || o.Attempts != 1 || o.MessageID == "" {
		t.Fatalf("delivery %+v, %v, %v", o, ok, err)
	}
	must(t, q.Purge(time.Now().Add(1000*time.Hour), Retention{Faxes: time.Hour}))
	mustFax(t, q, f.ID) // undelivered: kept
	must(t, q.OutDone(o.ID, "250 ok"))
	if mustFax(t, q, f.ID).Delivered.IsZero() {
		t.Error("not marked delivered")
	}
	must(t, q.Purge(time.Now(), Retention{Faxes: time.Hour}))
	mustFax(t, q, f.ID)
	must(t, q.Purge(time.Now().Add(2*time.Hour), Retention{Faxes: time.Hour}))
	if _, err := q.Fax(f.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("after its retention: %v", err)
	}
	if _, err := q.st.OpenFile(f.Pages[0].File); !errors.Is(err, ErrNotFound) {
		t.Errorf("its page file: %v", err)
	}
	check(t, q)
}

func mustFax(t *testing.T, q *Queue, id FaxID) Fax {
	t.Helper()
	f, err := q.Fax(id)
	must(t, err)
	return f
}

func TestFax_CrashEndsAsPartial(t *testing.T) {
	q := open(t, routed())
	r := q.Reception(NewFax{Line: "east", Dialed: "0100", Started: time.Now()})
	must(t, r.PutPage(t30.Remote{}, 1, FaxPage{File: pageFile(t, q), Confirmed: true}))
	must(t, r.PutPage(t30.Remote{}, 2, FaxPage{File: pageFile(t, q), Open: true}))
	stray := pageFile(t, q) // synced, not recorded yet
	q, rec := reopen(t, q)
	if len(rec.Partial) != 1 || rec.Partial[0] != r.ID() || len(rec.Files) != 1 || rec.Files[0].Name != stray {
		t.Errorf("recovery %+v", rec)
	}
	f := mustFax(t, q, r.ID())
	if f.State != FaxPartial || len(f.Pages) != 2 || f.Delivery == "" {
		t.Errorf("%+v", f)
	}
	for _, p := range f.Pages {
		if _, err := q.st.ReadFile(p.File, 100); err != nil {
			t.Error(err)
		}
	}
	q, rec = reopen(t, q)
	if list, err := q.Unsent(); err != nil || len(list) != 1 || len(rec.Partial) != 0 {
		t.Errorf("after the second restart: %d deliveries, %v, %+v", len(list), err, rec)
	}
}

func TestFax_DroppedAndEmpty(t *testing.T) {
	q := open(t, routed())
	r := q.Reception(NewFax{Line: "east"})
	if _, ok, err := r.Finish(FaxEnd{}); ok || err != nil {
		t.Errorf("a call without a page: %v, %v", ok, err)
	}
	file := pageFile(t, q)
	must(t, r.PutPage(t30.Remote{}, 1, FaxPage{File: file}))
	must(t, r.DropPage(1))
	if _, ok, err := r.Finish(FaxEnd{}); ok || err != nil {
		t.Errorf("a fax without a page left: %v, %v", ok, err)
	}
	if _, err := q.st.OpenFile(file); !errors.Is(err, ErrNotFound) {
		t.Errorf("the dropped page's file: %v", err)
	}
	if list, _ := q.Unsent(); len(list) != 0 {
		t.Errorf("deliveries %+v", list)
	}
}

func TestFax_NoRouteIsHeldAndDeletedByHand(t *testing.T) {
	q := open(t, routed())
	r := q.Reception(NewFax{Line: "east", Dialed: "0199"})
	must(t, r.PutPage(t30.Remote{}, 1, FaxPage{File: pageFile(t, q)}))
	if err := q.DeleteFax(r.ID()); !errors.Is(err, ErrState) {
		t.Errorf("deleted while it comes in: %v", err)
	}
	f, _, err := r.Finish(FaxEnd{})
	must(t, err)
	o, err := q.Out(f.Delivery)
	if err != nil || o.State != OutHeld {
		t.Fatalf("%+v, %v", o, err)
	}
	if n, err := q.ReleaseOuts(); n != 0 || err != nil {
		t.Errorf("released %d without a recipient, %v", n, err)
	}
	must(t, q.DeleteFax(f.ID))
	if o, _ := q.Out(f.Delivery); o.State != OutDropped {
		t.Errorf("its delivery is %s", o.State)
	}
}

func TestOutbox(t *testing.T) {
	q := open(t, eager())
	now := time.Now()
	a, err := q.AddOut(NewOut{Kind: KindAlarm, To: []string{"a@x.test", "b@x.test"}, Key: "k", Payload: Alarm{Text: "one"}})
	must(t, err)
	if again, err := q.AddOut(NewOut{Kind: KindAlarm, To: []string{"a@x.test"}, Key: "k"}); err != nil || again != a {
		t.Errorf("the same key made %s, %v; want %s", again, err, a)
	}
	o, ok, _ := q.NextOut(now)
	if !ok || o.ID != a {
		t.Fatalf("%+v, %v", o, ok)
	}
	if _, ok, _ := q.NextOut(now); ok {
		t.Error("given to two workers")
	}
	must(t, q.RetryOut(a, now.Add(time.Hour), "451 later"))
	if _, ok, _ := q.NextOut(now); ok {
		t.Error("given before its time")
	}
	if at, err := q.NextOutAt(); err != nil || !at.Equal(now.Add(time.Hour)) {
		t.Errorf("NextOutAt %v, %v", at, err)
	}
	q, _ = reopen(t, q)
	o, ok, _ = q.NextOut(now.Add(time.Hour))
	if !ok || o.Attempts != 2 || o.LastReply != "451 later" {
		t.Fatalf("%+v, %v", o, ok)
	}
	q, _ = reopen(t, q) // a crash while it was being sent
	o2, ok, _ := q.NextOut(now.Add(time.Hour))
	if !ok || o2.MessageID != o.MessageID {
		t.Errorf("after the crash: %+v, %v; want Message-ID %s", o2, ok, o.MessageID)
	}
	must(t, q.UpdateOut(a, func(o *Out) error { o.Done, o.To = o.To[:1], o.To[1:]; return nil }))
	must(t, q.HoldOut(a, "550 5.7.64"))
	if c, _ := q.Counters(); c.OutHeld != 1 {
		t.Errorf("%+v", c)
	}
	if n, err := q.ReleaseOuts(); n != 1 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	must(t, q.OutDone(a, "250 ok"))
	if o, _ := q.Out(a); o.State != OutDone || len(o.To) != 0 || len(o.Done) != 2 {
		t.Errorf("%+v", o)
	}
	if err := q.RetryOut(a, now, ""); !errors.Is(err, ErrState) {
		t.Errorf("settled after it was done: %v", err)
	}
	if b, err := q.AddOut(NewOut{Kind: KindAlarm, To: []string{"a@x.test"}, Key: "k"}); err != nil || b == a {
		t.Errorf("the key of a done item still blocks: %s, %v", b, err)
	}
	check(t, q)
}

func TestPurge_KeepsSharedDocuments(t *testing.T) {
	q := open(t, eager())
	file, err := q.st.WriteFile(store.Mails, []byte("mail"))
	must(t, err)
	mail, err := q.AcceptMail(Envelope{}, file)
	must(t, err)
	doc, err := q.st.WriteFile(store.Documents, []byte("tiff"))
	must(t, err)
	ids, err := q.ExpandMail(mail, Expansion{Jobs: []NewJob{{Number: "5550100", Document: doc, Pages: 1}, {Number: "5550101", Document: doc, Pages: 1}}})
	must(t, err)
	must(t, q.CancelJob(ids[0], ""))
	later, r := time.Now().Add(time.Hour), Retention{Jobs: time.Minute, Outs: time.Minute}
	must(t, q.Purge(later, r))
	if _, err := q.Job(ids[0]); !errors.Is(err, ErrNotFound) {
		t.Errorf("the old job: %v", err)
	}
	for _, name := range []string{doc, file} {
		if _, err := q.st.ReadFile(name, 100); err != nil {
			t.Errorf("named by the job that waits: %v", err)
		}
	}
	must(t, q.CancelJob(ids[1], ""))
	must(t, q.Purge(later.Add(time.Hour), r))
	for _, name := range []string{doc, file} {
		if _, err := q.st.ReadFile(name, 100); !errors.Is(err, ErrNotFound) {
			t.Errorf("named by nothing: %v", err)
		}
	}
	if _, err := q.Mail(mail); !errors.Is(err, ErrNotFound) {
		t.Errorf("the mail: %v", err)
	}
}

func TestCalls(t *testing.T) {
	q := open(t, eager())
	events := []t30.Event{{At: noon, Layer: t30.LayerFrame, Dir: t30.Out, Text: "DCS"}, {At: noon, Layer: t30.LayerFrame, Dir: t30.In, Text: "CFR"}}
	c := CallOf("east", true, "5550100", t30.Report{Code: t30.CodeOK, Sent: 2, Modulation: t30.Modulation{Scheme: t30.V17, Rate: 14400}})
	id, err := q.RecordCall(c, events)
	must(t, err)
	q, _ = reopen(t, q)
	c, err = q.Call(id)
	if err != nil || c.Pages != 2 || c.Rate != 14400 || c.Modulation != "v17" {
		t.Fatalf("%+v, %v", c, err)
	}
	got, err := q.Transcript(c)
	if err != nil || len(got) != 2 || got[1] != events[1] {
		t.Errorf("%v, %v", got, err)
	}
	if list, err := q.Calls(1); err != nil || len(list) != 1 || list[0].ID != id {
		t.Errorf("%v, %v", list, err)
	}
}

func TestCalls_Bounded(t *testing.T) {
	q := open(t, eager())
	first, err := q.RecordCall(Call{Line: "east"}, []t30.Event{{Text: "x"}})
	must(t, err)
	must(t, q.st.Update(func(tx *store.Tx) error {
		for range maxCalls - 1 {
			id, err := tx.NewID(noon)
			if err != nil {
				return err
			}
			if err := calls.Put(tx, id, Call{ID: CallID(id)}); err != nil {
				return err
			}
		}
		return nil
	}))
	oldest, err := q.Call(first)
	must(t, err)
	_, err = q.RecordCall(Call{Line: "east"}, nil)
	must(t, err)
	if _, err := q.Call(first); !errors.Is(err, ErrNotFound) {
		t.Errorf("the oldest call: %v", err)
	}
	if _, err := q.Transcript(oldest); !errors.Is(err, ErrNotFound) {
		t.Errorf("its transcript: %v", err)
	}
	long := make([]t30.Event, 2*maxTranscript/1000)
	for i := range long {
		long[i].Text = string(make([]byte, 200)) // NUL: six octets each in JSON
	}
	id, err := q.RecordCall(Call{}, long)
	must(t, err)
	c, _ := q.Call(id)
	if data, err := q.st.ReadFile(c.Transcript, maxTranscript); err != nil || !json.Valid(data[:indexNL(data)]) {
		t.Errorf("a long transcript: %d octets, %v", len(data), err)
	}
}

func indexNL(b []byte) int {
	for i, c := range b {
		if c == '\n' {
			return i
		}
	}
	return len(b)
}
