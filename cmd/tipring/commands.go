package main

// commands lists all, in the order help shows them.
func commands() []command {
	return []command{
		{name: "demo", usage: demoUsage, run: demoMain},
		{name: "serve", usage: serveUsage, run: serveMain},
		{name: "send", usage: sendUsage, run: sendMain},
		{name: "receive", usage: receiveUsage, run: receiveMain},
		{name: "submit", usage: submitUsage, run: submitMain},
		{name: "queue", usage: queueUsage, run: queueMain},
		{name: "numbers", usage: numbersUsage, run: numbersMain},
		{name: "faxes", usage: faxesUsage, run: faxesMain},
		{name: "calls", usage: callsUsage, run: callsMain},
		{name: "route", usage: routeUsage, run: routeMain},
		{name: "rule", usage: ruleUsage, run: ruleMain},
		{name: "user", usage: userUsage, run: userMain},
		{name: "device", usage: deviceUsage, run: deviceMain},
		{name: "connector", usage: connectorUsage, run: connectorMain},
		{name: "convert", usage: convertUsage, run: convertMain},
		{name: "inspect", usage: inspectUsage, run: inspectMain},
		{name: "modem", usage: modemUsage, run: modemMain},
		{name: "line", usage: lineUsage, run: lineMain},
		{name: "render", hidden: true, run: renderMain},
		{name: "version", usage: "version", run: versionMain},
	}
}
