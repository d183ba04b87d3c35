package diagnose

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tipring/tipring/smtpstack"
	"github.com/tipring/tipring/smtpstack/send"
	"github.com/tipring/tipring/smtpstack/token"
)

// token asks the token endpoint, where the connector signs in with a token.
func (r *run) token(ctx context.Context) {
	if r.ClientID == "" {
		r.notRun(StepToken, "The connector signs in without one.")
		return
	}
	err := r.Sender.Token(ctx)
	if err == nil {
		r.ok(StepToken, "The token endpoint gives a token to application %s.", r.ClientID)
		return
	}
	s := r.add(Step{Name: StepToken, State: Failed, Found: smtpstack.OneLine(err.Error()), Remedy: send.Remedy(err)})
	var refusal *token.Error
	switch {
	case s.Remedy != "" && errors.As(err, &refusal):
		s.PowerShell = r.consent(refusal)
	case s.Remedy == "":
		s.Remedy = "Let this box reach https://login.microsoftonline.com."
	}
}

// consent is what shows an application in Exchange Online, where the refusal is about it.
func (r *run) consent(refusal *token.Error) string {
	if refusal.Number == "AADSTS700016" || refusal.Number == "AADSTS65001" {
		return "Get-ServicePrincipal | Where-Object AppId -eq " + quote(r.ClientID)
	}
	return ""
}

// signIn connects under the connector's own TLS policy and signs in.
func (r *run) signIn(ctx context.Context) {
	switch {
	case r.look.Hello == "":
		r.notRun(StepSignIn, "There is no connection.")
		return
	case r.state(StepToken) == Failed:
		r.notRun(StepSignIn, "There is no token to sign in with.")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, signInTime)
	defer cancel()
	failed, _ := r.Sender.SignIn(ctx, r.target())
	switch {
	case failed != nil:
		s := r.add(Step{Name: StepSignIn, State: Failed, Found: failed.Text(), Remedy: plain(failed.Remedy), PowerShell: r.powerShell(failed.Reply)})
		if s.Remedy == "" {
			s.Remedy = waitOr(failed.Class)
		}
		if r.ClientID != "" && failed.Reply.Enhanced == "5.7.3" {
			s.Remedy = "The tenant takes the token for nothing: the application needs the permission SMTP.SendAsApp with admin consent, has to be registered in Exchange Online, and needs access to the mailbox " + r.Username + "; the object ID is that of the enterprise application."
			if r.Delegated {
				s.Remedy = "The tenant takes the token for nothing: sign in again (tipring connector sign-in) as " + r.Username + ", and check that authenticated SMTP is enabled for the mailbox."
			}
		}
	case r.Username == "":
		r.ok(StepSignIn, "The connector's TLS policy holds; it does not sign in.")
	default:
		r.ok(StepSignIn, "%s is signed in.", r.Username)
	}
}

// target is the domain whose exchangers are asked, where that is the recipient's.
func (r *run) target() string {
	if r.To == "" {
		return domainOf(r.From)
	}
	return domainOf(r.To)
}

func waitOr(c smtpstack.Class) string {
	switch c {
	case smtpstack.Throttle:
		return "Too fast for the server: wait some minutes. Our own mail keeps to its limits by itself."
	case smtpstack.Quota:
		return "A limit is reached: it passes by itself, within 24 hours."
	case smtpstack.BadRecipient:
		return "The recipient does not exist or takes no mail from us: try another mailbox with --to."
	case smtpstack.Permanent:
		return "The server refuses this message for good."
	}
	return "It may pass by itself: try again in some minutes."
}

// message sends a real message.
func (r *run) message(ctx context.Context) {
	switch {
	case r.To == "" || r.Compose == nil:
		r.notRun(StepMessage, "No mailbox for it: name one with --to, or set mail.fallback.")
		return
	case r.state(StepSignIn) != OK:
		r.notRun(StepMessage, "The dialogue does not come so far.")
		return
	}
	m, err := r.Compose()
	if err != nil {
		r.add(Step{Name: StepMessage, State: Failed, Found: smtpstack.OneLine(err.Error()), Remedy: "Free disk space, and try again."})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, messageTime)
	defer cancel()
	rep := r.Sender.Deliver(ctx, m)
	var said []string
	for _, e := range rep.Transcript {
		said = append(said, e.String())
	}
	res := rep.Results[0]
	if res.Class == smtpstack.Delivered {
		r.ok(StepMessage, "Taken for %s by %s", r.To, res.Text()).Details = said
		return
	}
	s := r.add(Step{Name: StepMessage, State: Failed, Found: res.Text(), Remedy: plain(res.Remedy), PowerShell: r.powerShell(res.Reply), Details: said})
	if s.Remedy == "" {
		s.Remedy = waitOr(res.Class)
	}
}

// plain is a remedy without the general PowerShell line that stands in it: the step has its own.
func plain(remedy string) string {
	before, _, found := strings.Cut(remedy, " (PowerShell:")
	if !found {
		return remedy
	}
	return strings.TrimSuffix(before, ".") + "."
}

func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, "`\"") + `"` }

// powerShell is the line of Exchange Online PowerShell that cures a refusal, with this connector's own names (Microsoft
// Learn: ExchangePowerShell module reference); "" where nothing in the tenant does.
func (r *run) powerShell(reply smtpstack.Reply) string {
	from, box, to := quote(r.From), quote(r.Username), quote(r.To)
	switch reply.Enhanced {
	case "5.7.3":
		if reply.Code == 451 {
			return ""
		}
		if r.ClientID != "" && !r.Delegated {
			return fmt.Sprintf("New-ServicePrincipal -AppId %s -ObjectId OBJECT-ID -DisplayName Tipring; Add-MailboxPermission -Identity %s -User OBJECT-ID -AccessRights FullAccess", quote(r.ClientID), box)
		}
		return "Set-CASMailbox -Identity " + box + " -SmtpClientAuthenticationDisabled $false"
	case "5.7.139":
		return "Set-TransportConfig -SmtpClientAuthenticationDisabled $false; Set-CASMailbox -Identity " + box + " -SmtpClientAuthenticationDisabled $false"
	case "5.7.57", "5.7.64":
		return r.inbound()
	case "5.7.68":
		return r.inbound() + "; or, to allow Direct Send again: Set-OrganizationConfig -RejectDirectSend $false"
	case "5.7.60", "5.2.252":
		return fmt.Sprintf("Add-RecipientPermission -Identity %s -Trustee %s -AccessRights SendAs -Confirm:$false", from, box)
	case "4.7.550", "4.7.850":
		if ip, _ := r.address(); ip.IsValid() {
			return fmt.Sprintf("Set-HostedConnectionFilterPolicy -Identity Default -IPAllowList @{Add=%q}", ip)
		}
	case "5.1.10", "5.1.1", "5.4.1":
		return "Get-Recipient -Identity " + to
	case "5.7.133":
		return "Set-DistributionGroup -Identity " + to + " -RequireSenderAuthenticationEnabled $false"
	case "5.7.134":
		return "Set-Mailbox -Identity " + to + " -RequireSenderAuthenticationEnabled $false"
	case "5.7.136":
		return "Set-MailUser -Identity " + to + " -RequireSenderAuthenticationEnabled $false"
	case "5.7.124":
		return "Set-DistributionGroup -Identity " + to + " -AcceptMessagesOnlyFromSendersOrMembers @{Add=" + from + "}"
	case "5.7.12":
		return "Get-TransportRule | Where-Object State -eq Enabled | Format-List Name,Description"
	case "5.2.2":
		return "Get-MailboxStatistics -Identity " + to + " | Format-List TotalItemSize,StorageLimitStatus"
	}
	return ""
}

// inbound is the inbound connector for our certificate, or for our address.
func (r *run) inbound() string {
	if r.Certificate != nil && r.Certificate.Leaf != nil {
		if list := names(r.Certificate.Leaf); len(list) > 0 {
			return inboundByCertificate(list[0])
		}
	}
	ip := "OUR-ADDRESS"
	if a, _ := r.address(); a.IsValid() {
		ip = a.String()
	}
	return "New-InboundConnector -Name Tipring -ConnectorType OnPremises -SenderDomains * -SenderIPAddresses " + ip + " -RequireTls $true"
}

func inboundByCertificate(name string) string {
	return "New-InboundConnector -Name Tipring -ConnectorType OnPremises -SenderDomains * -RequireTls $true -TlsSenderCertificateName " + quote(name)
}
