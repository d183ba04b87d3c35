package web

import (
	"fmt"
	"net/http"
)

// lastMails bounds the list of mails.
const lastMails = 100

// mails lists what went out and what waits, newest first.
func (s *server) mails(w http.ResponseWriter, r *http.Request) {
	m := model{Kind: "mails", Title: "Mail"}
	var err error
	m.Mail, err = s.view.SentMail(r.Context(), lastMails)
	s.show(w, m, err)
}

// mail shows one with what was said in each attempt.
func (s *server) mail(w http.ResponseWriter, r *http.Request) {
	m := model{Kind: "mail"}
	id, err := pathID(r)
	if err == nil {
		m.Item, err = s.view.MailItem(r.Context(), id)
		m.Title = fmt.Sprintf("Mail %s", id)
	}
	s.show(w, m, err)
}
