package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// SocketName is the socket's name in the data folder.
const SocketName = "tipring.sock"

// Listen makes the socket in folder dataDir, readable and writable by its owner only. A socket that a killed process left
// behind is replaced; when another process answers on it, the error says so.
func Listen(dataDir string) (net.Listener, error) {
	path := filepath.Join(dataDir, SocketName)
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("control: another appliance already runs in %s", dataDir)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control: stale socket: %w", err)
	}
	// Bound in a folder only we can enter, then moved: nobody can connect before the mode is set.
	tmp, err := os.MkdirTemp(dataDir, ".sock")
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	defer os.RemoveAll(tmp)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(tmp, "s"), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(filepath.Join(tmp, "s"), 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("control: %w", err)
	}
	if err := os.Rename(filepath.Join(tmp, "s"), path); err != nil {
		l.Close()
		return nil, fmt.Errorf("control: %w", err)
	}
	return &socket{UnixListener: l, path: path}, nil
}

// socket removes its file when it is closed.
type socket struct {
	*net.UnixListener
	path string
}

func (s *socket) Close() error {
	os.Remove(s.path)
	return s.UnixListener.Close()
}

// Serve answers requests on l until ctx ends, then closes l.
func Serve(ctx context.Context, l net.Listener, a Appliance) error {
	srv := &http.Server{
		Handler:           Handler(a),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() {
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(wait) != nil {
			srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control: %w", err)
	}
	return nil
}

// maxRequest bounds a request's body: base64 needs 4/3 of a submission.
const maxRequest = MaxSubmission/3*4 + 1<<20

// Handler offers a as JSON over HTTP. It trusts its caller: it belongs on the local socket only.
func Handler(a Appliance) http.Handler {
	mux := http.NewServeMux()
	viewRoutes(mux, a)
	callRoutes(mux, a)
	controlRoutes(mux, a)
	numberRoutes(mux, a)
	peopleRoutes(mux, a)
	deviceRoutes(mux, a)
	connectorRoutes(mux, a)
	ruleRoutes(mux, a)
	return mux
}

func viewRoutes(mux *http.ServeMux, a View) {
	mux.Handle("GET /status", answer(func(r *http.Request) (any, error) { return a.Status(r.Context()) }))
	mux.Handle("GET /jobs", answer(func(r *http.Request) (any, error) {
		limit, err := number(r, "limit")
		if err != nil {
			return nil, err
		}
		return a.Jobs(r.Context(), JobFilter{Active: r.FormValue("active") == "true", Limit: int(limit)})
	}))
	mux.Handle("GET /jobs/{id}", byID(func(r *http.Request, id string) (any, error) { return a.Job(r.Context(), id) }))
	mux.Handle("GET /faxes", answer(func(r *http.Request) (any, error) {
		limit, err := number(r, "limit")
		if err != nil {
			return nil, err
		}
		return a.Faxes(r.Context(), int(limit))
	}))
	mux.Handle("GET /faxes/{id}", byID(func(r *http.Request, id string) (any, error) { return a.Fax(r.Context(), id) }))
	mux.Handle("GET /mail", answer(func(r *http.Request) (any, error) { return a.Mail(r.Context()) }))
	mux.Handle("GET /mail/all", answer(func(r *http.Request) (any, error) {
		limit, err := number(r, "limit")
		if err != nil {
			return nil, err
		}
		return a.SentMail(r.Context(), int(limit))
	}))
	mux.Handle("GET /mail/{id}", byID(func(r *http.Request, id string) (any, error) { return a.MailItem(r.Context(), id) }))
	mux.Handle("GET /transcript", answer(func(r *http.Request) (any, error) {
		return a.Transcript(r.Context(), r.FormValue("line"))
	}))
	mux.Handle("GET /faxes/{id}/file", stream("application/octet-stream", func(r *http.Request, id string) (io.ReadCloser, error) {
		return a.OpenFax(r.Context(), id, FileType(r.FormValue("as")))
	}))
	mux.Handle("GET /faxes/{id}/pages/{n}", stream("image/png", func(r *http.Request, id string) (io.ReadCloser, error) {
		n, err := strconv.ParseUint(r.PathValue("n"), 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%w: page %q", ErrInvalid, r.PathValue("n"))
		}
		width, err := number(r, "width")
		if err != nil {
			return nil, err
		}
		return a.OpenPage(r.Context(), id, int(n), int(width))
	}))
}

func controlRoutes(mux *http.ServeMux, a Control) {
	mux.Handle("POST /jobs", body(func(r *http.Request, s Submission) (any, error) { return a.Submit(r.Context(), s) }))
	mux.Handle("POST /jobs/{id}/cancel", byID(func(r *http.Request, id string) (any, error) { return nil, a.CancelJob(r.Context(), id) }))
	mux.Handle("POST /jobs/{id}/retry", byID(func(r *http.Request, id string) (any, error) { return nil, a.RetryJob(r.Context(), id) }))
	mux.Handle("DELETE /faxes/{id}", byID(func(r *http.Request, id string) (any, error) {
		return nil, a.DeleteFax(r.Context(), id, r.FormValue("force") == "true")
	}))
	mux.Handle("POST /mail/{id}/giveup", answer(func(r *http.Request) (any, error) { return nil, a.GiveUpMail(r.Context(), r.PathValue("id")) }))
	mux.Handle("POST /mail/retry", answer(func(r *http.Request) (any, error) { return nil, a.RetryMail(r.Context()) }))
	mux.Handle("GET /routes", answer(func(r *http.Request) (any, error) { return a.Routes(r.Context()) }))
	mux.Handle("POST /routes", body(func(r *http.Request, route Route) (any, error) { return a.AddRoute(r.Context(), route) }))
	mux.Handle("DELETE /routes/{id}", byID(func(r *http.Request, id string) (any, error) { return nil, a.RemoveRoute(r.Context(), id) }))
	mux.Handle("GET /rule", answer(func(r *http.Request) (any, error) { return a.TestRule(r.Context(), r.FormValue("number")) }))
	mux.Handle("GET /route", answer(func(r *http.Request) (any, error) {
		return a.TestRoute(r.Context(), r.FormValue("dialed"), r.FormValue("caller"))
	}))
	mux.Handle("DELETE /alarms", answer(func(r *http.Request) (any, error) { return nil, a.ClearAlarm(r.Context(), r.FormValue("code")) }))
}

func answer(f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v) // a client that left is no fault of ours
	})
}

func byID(f func(*http.Request, string) (any, error)) http.Handler {
	return answer(func(r *http.Request) (any, error) {
		id, err := pathID(r)
		if err != nil {
			return nil, err
		}
		return f(r, id)
	})
}

func body[T any](f func(*http.Request, T) (any, error)) http.Handler {
	return answer(func(r *http.Request) (any, error) {
		var v T
		dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxRequest))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&v); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return f(r, v)
	})
}

func stream(mediaType string, f func(*http.Request, string) (io.ReadCloser, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := pathID(r)
		if err != nil {
			fail(w, err)
			return
		}
		rc, err := f(r, id)
		if err != nil {
			fail(w, err)
			return
		}
		defer rc.Close()
		w.Header().Set("Content-Type", mediaType)
		if _, err := io.Copy(w, rc); err != nil {
			panic(http.ErrAbortHandler) // the client sees a broken transfer, not a short file
		}
	})
}

// goodID keeps anything but an ID of ours from the appliance.
var goodID = regexp.MustCompile(`^[0-9a-z]{1,32}$`)

func pathID(r *http.Request) (string, error) {
	id := r.PathValue("id")
	if !goodID.MatchString(id) {
		return "", fmt.Errorf("%w: %q is no ID", ErrInvalid, id)
	}
	return id, nil
}

func number(r *http.Request, key string) (uint64, error) {
	s := r.FormValue(key)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%w: %s %q is no number", ErrInvalid, key, s)
	}
	return n, nil
}

// failure is the body of every answer that is no success.
type failure struct {
	Kind  string `json:"kind"` // "not found", "invalid", "conflict", "internal"
	Error string `json:"error"`
}

var kinds = []struct {
	err    error
	kind   string
	status int
}{
	{ErrNotFound, "not found", http.StatusNotFound},
	{ErrInvalid, "invalid", http.StatusBadRequest},
	{ErrConflict, "conflict", http.StatusConflict},
}

func fail(w http.ResponseWriter, err error) {
	f, status := failure{Kind: "internal", Error: err.Error()}, http.StatusInternalServerError
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			f.Kind, status = k.kind, k.status
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f)
}
