package exchange

import "github.com/tipring/tipring/smtpstack"

// Rule names one thing the service refuses, slows down or answers; it is the key of the reply table.
type Rule string

// Documented is a reply of the service and the page of Microsoft Learn (by title) or RFC that documents it.
type Documented struct {
	Code     int
	Enhanced string
	Text     string
	Page     string
}

// The pages cited in the table, by their titles on Microsoft Learn and in the Exchange team blog.
const (
	pageNDR         = "Microsoft Learn: Email nondelivery reports and SMTP errors in Exchange Online"
	pageSubmit      = "Microsoft Learn: Message storage and concurrent connection throttling for SMTP Authenticated Submission"
	pageOAuth       = "Microsoft Learn: Authenticate an IMAP, POP or SMTP connection using OAuth"
	pageEnableAuth  = "Microsoft Learn: Enable or disable authenticated client SMTP submission (SMTP AUTH) in Exchange Online"
	pageDevice      = "Microsoft Learn: How to set up a multifunction device or application to send emails using Microsoft 365 or Office 365"
	pageDeviceFix   = "Microsoft Learn: Fix issues with printers, scanners, and LOB applications that send email using Microsoft 365"
	pageDirectSend  = "Exchange team blog: Introducing more control over Direct Send in Exchange Online"
	pageBasicAuth   = "Exchange team blog: Exchange Online to retire Basic auth for Client Submission (SMTP AUTH)"
	pageIPv6        = "Microsoft Learn: Support for validation of anonymous inbound email messages over IPv6 in Microsoft 365"
	pageLimits      = "Microsoft Learn: Exchange Online limits"
	pageDBEB        = "Microsoft Learn: Use Directory-Based Edge Blocking to reject messages sent to invalid recipients"
	pageAttribution = "Exchange team blog: Office 365 Message Attribution"
	pageTLS         = "Microsoft Learn: How Exchange Online uses TLS to secure email connections"
	pageBareLF      = "Microsoft Learn: Fix NDR error 5.6.11 in Exchange Online"
	pageSMTP        = "RFC 5321"
)

// The rules, in the order of a dialogue.
const (
	RuleGreeting       Rule = "greeting"
	RuleOldTLS         Rule = "old TLS"
	RuleBadHelo        Rule = "bad HELO"
	RuleTLSRequired    Rule = "STARTTLS required"
	RuleBannedIP       Rule = "banned IP"
	RuleBlockedRange   Rule = "traffic not accepted from this IP"
	RuleBusy           Rule = "server busy"
	RuleNewIP          Rule = "suspicious new IP"
	RuleReputation     Rule = "IP reputation"
	RuleIPv6PTR        Rule = "IPv6 without PTR"
	RuleIPv6SPF        Rule = "IPv6 without SPF or DKIM"
	RuleTenantBlocked  Rule = "tenant blocked"
	RuleNoAuth         Rule = "no sign-in"
	RuleBadAuth        Rule = "sign-in refused"
	RuleAuthDisabled   Rule = "SMTP AUTH disabled"
	RuleBasicAuthOff   Rule = "basic sign-in off"
	RuleConnections    Rule = "too many connections"
	RuleSendAs         Rule = "Send As"
	RuleSendAsFrom     Rule = "Send As, From line"
	RuleRelay          Rule = "no connector"
	RuleDirectSend     Rule = "Direct Send refused"
	RuleRcptChunk      Rule = "more than 200 RCPT"
	RuleRcptLimit      Rule = "more than 500 recipients"
	RuleDailyLimit     Rule = "daily recipient limit"
	RuleDailyQuota     Rule = "daily submission quota"
	RuleUnknownEdge    Rule = "unknown recipient at the edge"
	RuleUnknownMailbox Rule = "unknown recipient"
	RuleUnknownOnPrem  Rule = "unknown recipient on premises"
	RuleTransportRule  Rule = "organisation's rule"
	RuleGroupSender    Rule = "group's allowed senders"
	RuleGroupAuth      Rule = "group wants signed-in senders"
	RuleMailboxAuth    Rule = "mailbox wants signed-in senders"
	RuleContactAuth    Rule = "contact wants signed-in senders"
	RuleMailboxFull    Rule = "mailbox full"
	RuleReceiveRate    Rule = "mailbox's receive rate"
	RuleReceiveSender  Rule = "mailbox's receive rate for one sender"
	RuleDelivery       Rule = "recipient thread limit"
	RuleDMARC          Rule = "DMARC"
	RuleFromLine       Rule = "From line"
	RuleBareLF         Rule = "bare LF"
	RuleHops           Rule = "hop count"
	RuleSize           Rule = "size"
	RuleAccepted       Rule = "accepted"
)

// table is what the service says. %s stands for what the dialogue adds: an address, a host, a time.
var table = map[Rule]Documented{
	RuleGreeting:      {220, "", "%s Microsoft ESMTP MAIL Service ready", pageSMTP + " 4.2"},
	RuleOldTLS:        {421, "4.7.66", "TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support TLS 1.2.", pageNDR + "; " + pageTLS},
	RuleBadHelo:       {550, "5.7.506", "Access Denied, Bad HELO", pageNDR},
	RuleTLSRequired:   {451, "5.7.3", "STARTTLS is required to send mail", pageDeviceFix},
	RuleBannedIP:      {550, "5.7.606", "Access denied, banned sending IP [%s]. To request removal from this list please visit https://sender.office.com/", pageNDR + " (5.7.606-649)"},
	RuleBlockedRange:  {550, "5.7.708", "Access denied, traffic not accepted from this IP", pageNDR},
	RuleBusy:          {451, "4.7.500", "Server busy. Please try again later from [%s].", pageNDR + " (4.7.500-699)"},
	RuleReputation:    {451, "4.7.550", "Access denied, please try again later", pageNDR + " (4.7.500-699)"},
	RuleNewIP:         {451, "4.7.850", "Access denied, please try again later", pageNDR + " (4.7.850-899)"},
	RuleIPv6PTR:       {550, "5.7.25", "Remote server must have a reverse DNS record [%s]", pageIPv6},
	RuleIPv6SPF:       {450, "4.7.26", "Service does not accept messages sent over IPv6 [%s] unless they pass either SPF or DKIM validation (message not signed)", pageIPv6},
	RuleTenantBlocked: {550, "5.7.705", "Access denied, tenant has exceeded threshold", pageNDR},
	RuleNoAuth:        {530, "5.7.57", "Client not authenticated to send mail.", pageDeviceFix},
	RuleBadAuth:       {535, "5.7.3", "Authentication unsuccessful [%s]", pageOAuth},
	RuleAuthDisabled:  {535, "5.7.139", "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.", pageEnableAuth},
	RuleBasicAuthOff:  {550, "5.7.30", "Basic authentication is not supported for Client Submission.", pageBasicAuth},
	RuleConnections:   {432, "4.3.2", "Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.", pageSubmit},
	RuleSendAs:        {550, "5.7.60", "SMTP; Client does not have permissions to send as this sender", pageDeviceFix},
	RuleSendAsFrom:    {554, "5.2.252", "SendAsDenied; %s not allowed to send as this address; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied", pageOAuth},
	RuleRelay:         {550, "5.7.64", "TenantAttribution; Relay Access Denied SMTP", pageNDR + "; " + pageAttribution},
	RuleDirectSend:    {550, "5.7.68", "TenantInboundAttribution; Direct Send not allowed for this organization from unauthorized sources", pageDirectSend},
	RuleRcptChunk:     {452, "4.5.3", "Too many recipients", pageNDR},
	RuleRcptLimit:     {550, "5.5.3", "Too many recipients", pageLimits},
	RuleDailyLimit:    {550, "5.1.90", "Your message can't be sent because you've reached your daily limit for message recipients", pageNDR},
	RuleDailyQuota:    {554, "5.2.0", "STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message due to a permanent exception with message The message can't be submitted because the sender's submission quota was exceeded.", pageSubmit},

	RuleUnknownEdge:    {550, "5.4.1", "Recipient address rejected: Access denied.", pageDBEB},
	RuleUnknownMailbox: {550, "5.1.10", "RESOLVER.ADR.RecipientNotFound; Recipient %s not found by SMTP address lookup", pageNDR},
	RuleUnknownOnPrem:  {550, "5.1.1", "RESOLVER.ADR.RecipNotFound; not found", pageNDR},
	RuleTransportRule:  {550, "5.7.12", "Sender was not authenticated by organization", pageNDR},
	RuleGroupSender:    {550, "5.7.124", "Sender not in allowed-senders list", pageNDR},
	RuleGroupAuth:      {550, "5.7.133", "RESOLVER.RST.SenderNotAuthenticatedForGroup; sender not authenticated for group", pageNDR},
	RuleMailboxAuth:    {550, "5.7.134", "RESOLVER.RST.SenderNotAuthenticatedForMailbox; sender not authenticated for mailbox", pageNDR},
	RuleContactAuth:    {550, "5.7.136", "RESOLVER.RST.SenderNotAuthenticatedForMailUser; sender not authenticated for mail user", pageNDR},
	RuleMailboxFull:    {554, "5.2.2", "mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded", pageNDR},
	RuleReceiveRate:    {550, "5.2.121", "RESOLVER.RST.RecipRateLimit; recipient's per hour message receive limit exceeded", pageNDR},
	RuleReceiveSender:  {550, "5.2.122", "RESOLVER.RST.RecipRateLimit; recipient's per hour message receive limit from specific sender exceeded", pageNDR},
	RuleDelivery:       {432, "4.3.2", "STOREDRV.Deliver; recipient thread limit exceeded", pageNDR},
	RuleDMARC:          {550, "5.7.509", "Access denied, sending domain %s does not pass DMARC verification and has a DMARC policy of reject.", pageNDR},
	RuleFromLine:       {550, "5.7.512", "Access denied, message must be RFC 5322 section 3.6.2 compliant", pageNDR},
	RuleBareLF:         {550, "5.6.11", "SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds, which cannot be sent via DATA", pageBareLF},
	RuleHops:           {554, "5.4.14", "Hop count exceeded - possible mail loop ATTR34", pageNDR},
	RuleSize:           {552, "5.3.4", "Message size exceeds fixed maximum message size", pageLimits},
	RuleAccepted:       {250, "2.6.0", "%s Queued mail for delivery", pageSMTP + " 4.2"},
}

// Table is a copy of the reply table, for tests that walk it.
func Table() map[Rule]Documented {
	out := make(map[Rule]Documented, len(table))
	for k, v := range table {
		out[k] = v
	}
	return out
}

// Reply is the reply of a rule with what the dialogue adds.
func (d Documented) Reply(args ...any) *smtpstack.Reply {
	return smtpstack.Refuse(d.Code, d.Enhanced, d.Text, args...)
}
