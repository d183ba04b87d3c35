# Tipring. `make` alone prints the targets.
GO      ?= go
BIN     := bin/tipring
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
# TIPRING_PEERS: auto (run what is installed, say what is not) or required (a missing peer is a failure: CI).
export TIPRING_PEERS ?= auto
export CGO_ENABLED = 0

help:
	@echo 'make build        bin/tipring, static, for this machine'
	@echo 'make demo         the whole appliance on this machine, no hardware needed'
	@echo 'make test         all tests; installs the peers (efax, postfix, ...) by apt-get where it can'
	@echo 'make soak         the long tests: kill -9 at 50 moments, noise, long calls, documents of all kinds, every bit of a page flipped, 10,000 random lines, make mutate'
	@echo 'make mutate       takes each transition of the T.30 engine out in turn: a test must fail; writes docs/t30-transitions.md, seeded-bugs.md, modem-habits.md'
	@echo 'make race         unit tests under the race detector (needs gcc)'
	@echo 'make fuzz         every fuzz target, FUZZTIME (30s) each'
	@echo 'make bench        all benchmarks; bench-codec, bench-pages, bench-line, bench-noise, bench-mail: one subject'
	@echo 'make lint         gofmt, go vet, staticcheck'
	@echo 'make static       the binary for amd64, arm64 and arm, checked to be static'
	@echo 'make image        the appliance image (buildroot)'

build: $(BIN)

$(BIN): FORCE
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $@ ./cmd/tipring

demo: build
	$(BIN) demo $(if $(DATA),--data $(DATA))

# Calls take their time but no processor: tests that wait for one run side by side. With their tag the peer tests of cmd/tipring
# come on top of its others, so that package runs once.
test: peers build
	$(GO) test -parallel 16 $$($(GO) list ./... | grep -v /cmd/tipring$$)
	$(GO) test -tags peers -parallel 48 -timeout 9m ./cmd/tipring

JARS := /usr/share/java
soak: export MORE_PEERS = soffice:libreoffice-writer-nogui chromium:chromium exiftool:libimage-exiftool-perl /usr/share/fonts/truetype/wqy/wqy-microhei.ttc:fonts-wqy-microhei java:default-jre-headless \
 $(JARS)/preflight.jar:libpdfbox2-java $(JARS)/javax.activation.jar:libactivation-java $(JARS)/jaxb-api.jar:libjaxb-api-java
soak: peers build
	$(GO) test -tags 'peers soak' -parallel 40 -timeout 85m ./cmd/tipring
	$(GO) test -count=1 -run 'RandomPages|AllKinds|Damage' -timeout 90m ./imaging/t4 ./imaging/jbig -full
	$(GO) test -count=1 -run RandomFaults -timeout 60m ./t30 -seeds 10000
	$(GO) test -count=1 -run RandomFaults -timeout 60m ./modem/virtual -seeds 2000
	$(MAKE) mutate

# Every transition of the T.30 engine is taken out in turn, and bugs are put into driver and virtual modem: a test must fail each time.
mutate:
	$(GO) test -count=1 -tags mutate -run '^TestMutate' -timeout 45m ./t30 ./modem/virtual

race:
	CGO_ENABLED=1 $(GO) test -race -timeout 60m ./...

peers:
	@./testdata/peers/install

FUZZTIME ?= 30s
fuzz:
	@./testdata/fuzz-all $(FUZZTIME)

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

# On our own eight pages, and on the ITU's where CHARTS has them.
CHARTS ?= $(wildcard ../shared/charts)
bench-codec: peers
	TIPRING_CHARTS=$(abspath $(CHARTS)) $(GO) test -p 1 -count=1 -tags bench -run '^TestCodecAgainst' -v -timeout 10m ./imaging/t4 ./imaging/jbig

# What only this needs is installed for it alone.
bench-pages: export MORE_PEERS = soffice:libreoffice-writer-nogui chromium:chromium tesseract:tesseract-ocr /usr/share/fonts/truetype/liberation:fonts-liberation \
 /usr/share/fonts/truetype/tlwg/Purisa.ttf:fonts-tlwg-purisa-ttf
bench-pages: peers build
	$(GO) test -count=1 -tags 'peers bench' -run '^TestPagesAgainstGhostscript$$' -v -timeout 30m ./cmd/tipring

bench-line: peers build
	$(GO) test -count=1 -tags 'peers bench' -run '^TestLineTime$$' -parallel 40 -v -timeout 30m ./cmd/tipring

bench-noise: peers build
	$(GO) test -count=1 -tags 'peers bench' -run '^TestNoiseTable$$' -parallel 24 -v -timeout 60m ./cmd/tipring

bench-mail: peers
	$(GO) test -count=1 -tags 'peers bench' -run '^TestMailLoad$$' -v -timeout 20m ./cmd/tipring

lint:
	@f=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$f" ] || { echo "not gofmt-ed:"; echo "$$f"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags 'peers soak bench' ./cmd/tipring
	$(GO) vet -tags mutate ./t30 ./modem/virtual
	$(GO) vet -tags bench ./imaging/t4 ./imaging/jbig
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags 'peers soak bench' ./cmd/tipring
	$(GO) tool staticcheck -tags mutate ./t30 ./modem/virtual
	$(GO) tool staticcheck -tags bench ./imaging/t4 ./imaging/jbig

static:
	@for a in amd64 arm64 arm; do \
	  GOOS=linux GOARCH=$$a GOARM=7 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o dist/tipring-linux-$$a ./cmd/tipring || exit 1; \
	  file dist/tipring-linux-$$a 2>/dev/null | grep -q 'statically linked' && echo "dist/tipring-linux-$$a: static" || { echo "dist/tipring-linux-$$a: not known to be static"; exit 1; }; \
	done

image:
	@echo 'make image: the Buildroot tree is not here yet (see ARCHITECTURE.md, "What is not here yet")'; exit 1

clean:
	rm -rf bin dist
	$(MAKE) -s -C testdata/softline clean

FORCE:
.PHONY: help build demo test soak mutate race peers fuzz bench bench-codec bench-pages bench-line bench-noise bench-mail lint static image clean FORCE
