package smtpstack

import (
	"strings"
	"testing"
)

func TestClassify(t *testing.T) {
	tests := []struct {
		reply string // as on the wire
		want  Class
	}{
		{"250 2.0.0 ok", Delivered}, {"250 ok", Delivered},

		{"451 4.7.500 Server busy", Throttle}, {"451 4.7.699 x", Throttle}, {"451 4.7.550 x", Throttle},
		{"451 4.7.850 x", Throttle}, {"451 4.7.899 x", Throttle}, {"432 4.3.2 Concurrent connections limit exceeded", Throttle},
		{"451 4.7.700 x", Temporary}, {"451 4.7.499 x", Temporary}, {"451 4.7.900 x", Temporary},

		{"452 4.5.3 Too many recipients", Split},

		{"535 5.7.3 Authentication unsuccessful", Configuration},
		{"535 5.7.139 Authentication unsuccessful, basic authentication is disabled", Configuration},
		{"550 5.7.30 Basic authentication is not supported for Client Submission", Configuration},
		{"530 5.7.57 Client not authenticated to send mail", Configuration},
		{"550 5.7.60 SMTP; Client does not have permissions to send as this sender", Configuration},
		{"550 5.7.64 TenantAttribution; Relay Access Denied", Configuration},
		{"550 5.7.68 TenantInboundAttribution; Direct Send not allowed", Configuration},
		{"550 5.7.705 Access denied, tenant has exceeded threshold", Configuration},
		{"550 5.7.708 Access denied, traffic not accepted from this IP", Configuration},
		{"550 5.7.606 Access denied, banned sending IP", Configuration}, {"550 5.7.649 x", Configuration},
		{"550 5.7.509 Access denied, sending domain does not pass DMARC", Configuration},
		{"450 4.7.26 Service does not accept messages sent over IPv6", Configuration},
		{"550 5.7.25 no PTR", Configuration}, {"550 5.7.506 Access Denied, Bad HELO", Configuration},
		{"550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant", Configuration},
		{"451 5.7.3 STARTTLS is required to send mail", Configuration}, {"421 4.7.66 TLS 1.0 not allowed", Configuration},
		{"530 Authentication required", Configuration}, {"535 failed", Configuration}, {"550 5.1.8 bad sender", Configuration},
		{"554 5.7.1 Relay access denied", Configuration}, {"550 5.7.26 unauthenticated", Configuration},

		{"550 5.1.1 User unknown", BadRecipient}, {"550 5.1.10 Recipient not found", BadRecipient},
		{"550 5.4.1 Recipient address rejected: Access denied", BadRecipient}, {"550 5.7.12 x", BadRecipient},
		{"550 5.7.124 x", BadRecipient}, {"550 5.7.133 x", BadRecipient}, {"550 5.7.134 x", BadRecipient},
		{"550 5.7.136 x", BadRecipient}, {"550 no such user", BadRecipient}, {"550 5.2.1 mailbox disabled", BadRecipient},

		{"550 5.1.90 Your message can't be sent because you've reached your daily limit", Quota},
		{"552 5.2.2 Mailbox full", Quota}, {"550 5.2.121 x", Quota}, {"550 5.2.122 x", Quota},
		{"554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed", Quota}, {"554 5.2.0 STOREDRV.Deliver.Exception", Permanent},
		{"550 5.7.232 trial tenant's external recipient rate limit", Quota}, {"550 5.7.233 x", Quota},
		{"554 5.2.252 SendAsDenied; fax@contoso.com not allowed to send as x", Configuration},

		{"421 4.4.2 timeout", Temporary}, {"450 greylisted", Temporary}, {"452 4.3.1 disk full", Temporary},
		{"451 4.7.1 greylisted", Temporary}, {"452 4.2.2 mailbox full", Temporary},
		{"554 5.6.11 bare LF", Permanent}, {"552 5.3.4 too big", Permanent}, {"554 failed", Permanent},
		{"354 go ahead", Temporary}, {"000 nothing", Temporary},
	}
	for _, tt := range tests {
		code := int(tt.reply[0]-'0')*100 + int(tt.reply[1]-'0')*10 + int(tt.reply[2]-'0')
		r := ParseReply(code, tt.reply[4:])
		if got := Classify(r.Code, r.Enhanced, r.Text); got != tt.want {
			t.Errorf("%q is %v, want %v", tt.reply, got, tt.want)
		}
		remedy := Remedy(r.Code, r.Enhanced, r.Text)
		if (remedy != "") != (tt.want == Configuration) {
			t.Errorf("%q: remedy %q for class %v", tt.reply, remedy, tt.want)
		}
		if remedy != "" && !strings.HasSuffix(remedy, ".") {
			t.Errorf("%q: remedy %q is no sentence", tt.reply, remedy)
		}
		if r.String() != tt.reply {
			t.Errorf("reply %q became %q", tt.reply, r.String())
		}
	}
}

func TestRefuse_OneLine(t *testing.T) {
	r := Refuse(550, "5.7.1", "sender %s", "a\r\n250 ok\x00\u2028b\xff")
	if got := r.Error(); got != "550 5.7.1 sender a 250 ok b?" {
		t.Errorf("got %q", got)
	}
}

func FuzzParseReply(f *testing.F) {
	f.Add(550, "5.7.1 no")
	f.Add(250, "")
	f.Add(451, "5.7.3\r\n STARTTLS")
	f.Fuzz(func(t *testing.T, code int, text string) {
		r := ParseReply(code, text)
		if strings.ContainsAny(r.Text+r.Enhanced, "\r\n") {
			t.Errorf("line break in %+v", r)
		}
		if c := Classify(r.Code, r.Enhanced, r.Text); c < Delivered || c > Permanent {
			t.Errorf("class %v", c)
		}
	})
}
