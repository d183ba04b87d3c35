/*
 * softline - real soft modems and a real T.30 fax machine on a simulated
 *            telephone line, for testing programs that drive Class 1 modems.
 *
 * Two stations hang on one line.  A station is either
 *   modem:PATH   a spandsp T.31 (Class 1) modem behind a pseudo terminal
 *   fax:answer   a spandsp T.30 fax machine that answers
 *   fax:call     a spandsp T.30 fax machine that dials
 *
 * Everything is clocked by the 8 kHz sample clock, in ticks of 10 ms: read the
 * ptys, let both stations make 80 samples, carry them over the line with its
 * impairments, feed them to the far stations, write the ptys.  The log is JSON
 * lines, one event each; "t" is the line clock in seconds, "w" the wall clock.
 *
 * The T.31 and T.30 engines and the data pumps are libspandsp (LGPL 2.1).  The
 * private structures are used read-only for reporting (which carrier is on,
 * which AT mode the modem is in), and written in three places only: the bad row
 * counter (rtn=, rtp=), the outgoing frame hook (swap=, corrupt=, dcn=), and the
 * sender's place in its table of rates (first=).
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <tiffio.h>
#include <spandsp.h>
#include <spandsp/expose.h>

#define RATE  8000
#define TICK  80                        /* samples per tick: 10 ms */
#define RING_LEN 32768                  /* sample history, a power of two: 4 s */
#define MAXHITS 64
#define DLE 0x10
#define ETX 0x03

/* ------------------------------------------------------------------ types */

enum kind { MODEM, FAX_ANSWER, FAX_CALL };
enum lstate { L_IDLE, L_DIAL, L_RING, L_TALK, L_CLEAR };
enum { PEND_CALL = 1, PEND_ANSWER = 2, PEND_HANGUP = 4 };
enum outcome { O_OK, O_BUSY, O_NOANSWER, O_NODIALTONE, O_SILENT };

struct tamper { char op; int fcf, to, nth, seen; };     /* 's'wap or 'c'orrupt */

typedef struct station {
    char name;                          /* 'A' or 'B' */
    enum kind kind;
    struct station *peer;
    bool off;                           /* off hook */
    int16_t tx[TICK], rx[TICK];
    int16_t hist[RING_LEN];             /* what this station has sent */
    unsigned hist_pos;
    awgn_state_t noise, burst;          /* noise heard by this station */
    bool burst_on;
    int slip;                           /* extra delay in samples towards peer */
    /* carrier bookkeeping */
    char carrier[16];
    int crate;
    int64_t cstart;
    bool cimage;
    /* passive V.21 tap on what this station sends */
    fsk_rx_state_t fsk;
    hdlc_rx_state_t hdlc;
    bool tap_on;
    /* common options */
    double hupdet;                      /* seconds of busy tone until hangup is noticed; 0 never */
    double hangup_at;                   /* hang up this long after connect */
    int hangup_page; double hangup_page_t;
    double ring_on, ring_off;
    /* ---- modem ---- */
    const char *path;
    t31_state_t *t31;
    int mfd;
    bool dte_open, dte_spoke, cts;
    int64_t dte_last;                   /* line clock of the last DTE byte or response */
    double dte_last_w, rsp_w;
    bool rsp_waiting;                   /* a final response is out, DTE has not spoken since */
    int pending;
    char number[128];
    char feed[1];
    uint8_t out[65536]; unsigned out_len, out_ok;       /* bytes queued; bytes whose latency has passed */
    struct { int64_t at; unsigned n; } mark[1024]; unsigned mark_in, mark_out;
    double latency;
    char cmd[300]; unsigned cmd_len;
    char rsp[300]; unsigned rsp_len;
    uint8_t frm[600]; unsigned frm_len; bool frm_dle;
    long dte_bytes, dce_bytes; bool dle;
    double baud, credit_in, credit_out;
    const char *nmbr, *cname, *ringtext, *pre, *cidwhen;
    bool dtr_ignore;
    /* ---- fax machine ---- */
    fax_state_t *fax;
    const char *in, *next, *outfile, *dial, *ident, *sub, *sep, *psa, *sid, *pwd, *header;
    const char *need_pwd, *need_sub;
    int nsf, ecm, modems, comp, res, sizes, minscan, maxpages, rings, first, rtn, rtp, rnr, tep, reject_b, enc, retransmit;
    double delay;
    struct tamper tam[8]; int ntam;
    int64_t stop_at;                    /* when to leave the call after dcn= or phase E */
    bool finished; int code; char codetext[128];
    t30_stats_t stats;
    int pages_seen, fcd_tx, fcd_rx, nrings; bool next_used;
} station_t;

struct hit {
    double t, dur; int page; char kind; int dir; double level;
    int64_t start, end; int state;      /* 0 waiting, 1 armed, 2 running, 3 done */
};

/* ---------------------------------------------------------------- globals */

static station_t st[2] = {{.name = 'A'}, {.name = 'B'}};
static int64_t clk;              /* line clock, samples */
static FILE *logfp;
static struct timespec wall0;
static volatile sig_atomic_t quit;

static struct {
    enum lstate state; enum outcome outcome;
    station_t *caller;
    int64_t since, next, t_dial, t_connect;
    int ring_no; bool cid_done;
    int calls, bad, no;                 /* finished calls, failed calls, current number */
    bool connected, dcn, mcf; int images;
    char phase; int64_t phase_since, ph[5];
    int last_fcf;
    const char *why;
    int64_t tcf, img; int fast_rate; char fast_kind[16];
} L;

static struct {
    double speed, delay, loss, noise, echo, echo_ms, gap, maxtime, noanswer, linger, elastic, maxcall;
    bool has_noise, has_echo, ulaw; int alaw;
    unsigned seed; int calls, nscript; enum outcome script[64]; bool trace;
} O = {.speed = 1, .gap = 3, .noanswer = 60, .linger = 10, .maxcall = 3600, .calls = 1, .seed = 1};

static struct hit hits[MAXHITS];
static int nhits;

/* ---------------------------------------------------------- small helpers */

static double wall(void)
{
    struct timespec n;
    clock_gettime(CLOCK_MONOTONIC, &n);
    return (n.tv_sec - wall0.tv_sec) + (n.tv_nsec - wall0.tv_nsec)*1e-9;
}

static double secs(int64_t s) { return (double) s/RATE; }
static int64_t samples(double s) { return (int64_t) (s*RATE + 0.5); }

static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("softline: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

/* Write one JSON event.  fmt, when not NULL, gives the further members. */
static void ev(const char *name, const char *fmt, ...)
{
    va_list ap;
    fprintf(logfp, "{\"t\":%.3f,\"w\":%.3f,\"call\":%d,\"ev\":\"%s\"", secs(clk), wall(), L.no, name);
    if (fmt) {
        fputc(',', logfp);
        va_start(ap, fmt);
        vfprintf(logfp, fmt, ap);
        va_end(ap);
    }
    fputs("}\n", logfp);
    fflush(logfp);
}

/* Quote a string for JSON; four results may be in use at once. */
static const char *js(const char *s, int n)
{
    static char ring[4][2048];
    static int k;
    char *b = ring[k = (k + 1) & 3], *p = b;
    *p++ = '"';
    if (s == NULL)
        s = "";
    if (n < 0)
        n = (int) strlen(s);
    for (int i = 0; i < n && p - b < 2030; i++) {
        unsigned char c = (unsigned char) s[i];
        if (c == '"' || c == '\\') { *p++ = '\\'; *p++ = (char) c; }
        else if (c < 0x20 || c > 0x7E) p += sprintf(p, "\\u%04x", c);
        else *p++ = (char) c;
    }
    *p++ = '"';
    *p = 0;
    return b;
}

static const char *hex(const uint8_t *d, int n)
{
    static char b[1300];
    if (n > 600) n = 600;
    for (int i = 0; i < n; i++)
        sprintf(b + 2*i, "%02X", d[i]);
    b[2*(n < 0 ? 0 : n)] = 0;
    return b;
}

/* ------------------------------------------------------------- T.30 names */

static const struct { const char *n; int v; } FCF[] = {
    {"DIS", T30_DIS}, {"CSI", T30_CSI}, {"NSF", T30_NSF}, {"DTC", T30_DTC}, {"CIG", T30_CIG},
    {"NSC", T30_NSC}, {"PWD", T30_PWD}, {"SEP", T30_SEP}, {"PSA", T30_PSA}, {"DCS", T30_DCS},
    {"TSI", T30_TSI}, {"NSS", T30_NSS}, {"SUB", T30_SUB}, {"SID", T30_SID}, {"CTC", T30_CTC},
    {"CFR", T30_CFR}, {"FTT", T30_FTT}, {"CTR", T30_CTR}, {"EOM", T30_EOM}, {"MPS", T30_MPS},
    {"EOP", T30_EOP}, {"PPS", T30_PPS}, {"EOR", T30_EOR}, {"RR", T30_RR}, {"MCF", T30_MCF},
    {"RTP", T30_RTP}, {"RTN", T30_RTN}, {"PIP", T30_PIP}, {"PIN", T30_PIN}, {"PPR", T30_PPR},
    {"RNR", T30_RNR}, {"ERR", T30_ERR}, {"DCN", T30_DCN}, {"CRP", T30_CRP}, {"FNV", T30_FNV},
    {"FCD", T4_FCD}, {"RCP", T4_RCP}};

/* DTC, CIG, NSC, PWD, SEP and PSA are told from their counterparts by bit 0; for the rest it is X. */
static const char *fcf_name(int v)
{
    for (size_t i = 0; i < sizeof(FCF)/sizeof(*FCF); i++)
        if (FCF[i].v == v)
            return FCF[i].n;
    for (size_t i = 0; i < sizeof(FCF)/sizeof(*FCF); i++)
        if (FCF[i].v == (v & 0xFE))
            return FCF[i].n;
    return "?";
}

static int fcf_code(const char *n)
{
    for (size_t i = 0; i < sizeof(FCF)/sizeof(*FCF); i++)
        if (strcasecmp(FCF[i].n, n) == 0)
            return FCF[i].v;
    die("unknown frame name '%s'", n);
    return 0;
}

/* Spell out the interesting bits of a DIS, DTC or DCS. */
static void dis_text(char *b, size_t n, const uint8_t *m, int len, bool dcs)
{
    static const char *scan[8] = {"20", "40", "10", "5", "10h", "20h", "40h", "0"};
    unsigned b2 = len > 4 ? m[4] : 0, b3 = len > 5 ? m[5] : 0, b4 = (len > 6 && (b3 & 0x80)) ? m[6] : 0;
    const char *rate;
    if (dcs) {
        switch (b2 & 0x2C) {
        case 0x00: rate = "V.27ter 2400"; break;  case 0x08: rate = "V.27ter 4800"; break;
        case 0x04: rate = "V.29 9600"; break;     case 0x0C: rate = "V.29 7200"; break;
        case 0x20: rate = "V.17 14400"; break;    case 0x28: rate = "V.17 12000"; break;
        case 0x24: rate = "V.17 9600"; break;     default:   rate = "V.17 7200"; break;
        }
    } else {
        rate = (b2 & 0x20) ? "V.27ter+V.29+V.17" : (b2 & 0x0C) == 0x0C ? "V.27ter+V.29"
             : (b2 & 0x04) ? "V.29" : (b2 & 0x08) ? "V.27ter" : "V.27ter 2400";
    }
    snprintf(b, n, ",\"rate\":\"%s\",\"fine\":%d,\"mr\":%d,\"width\":%u,\"length\":%u,\"scan_ms\":\"%s\",\"ecm\":%d,\"mmr\":%d,\"rx\":%d,\"poll\":%d",
             rate, !!(b2 & 0x40), !!(b2 & 0x80), b3 & 3, (b3 >> 2) & 3, scan[(b3 >> 4) & 7],
             !!(b4 & 4), !!(b4 & 0x40), !!(b2 & 2), !!(b2 & 1));
}

/* Log one HDLC frame (address, control, FCF, FIF). */
static void log_frame(station_t *s, const char *src, const uint8_t *m, int len, bool ok)
{
    char more[300] = "";
    int f = len > 2 ? m[2] : 0;
    const char *n = fcf_name(f);
    if (ok && strchr("CTPSUN", n[0]) && len > 3 && strcmp(n, "PPS") && strcmp(n, "CTC")
        && strcmp(n, "NSF") && strcmp(n, "NSC") && strcmp(n, "NSS") && strcmp(n, "PPR") && strcmp(n, "CFR") && strcmp(n, "CTR")) {
        char id[24]; int k = 0;
        for (int i = len - 1; i > 2 && k < 20; i--)
            id[k++] = (char) m[i];
        snprintf(more, sizeof more, ",\"text\":%s", js(id, k));
    } else if (ok && len > 5 && (!strcmp(n, "DIS") || !strcmp(n, "DTC") || !strcmp(n, "DCS"))) {
        dis_text(more, sizeof more, m, len, !strcmp(n, "DCS"));
    } else if (ok && !strcmp(n, "PPS") && len > 6) {
        snprintf(more, sizeof more, ",\"fcf2\":\"%s\",\"page\":%d,\"block\":%d,\"frames\":%d",
                 m[3] ? fcf_name(m[3]) : "NULL", m[4], m[5], m[6] + 1);
    }
    ev("frame", "\"st\":\"%c\",\"src\":\"%s\",\"frame\":\"%s\",\"final\":%d,\"ok\":%d,\"hex\":\"%s\"%s",
       s->name, src, n, len > 1 ? !!(m[1] & 0x10) : 0, ok, hex(m, len > 80 ? 80 : len), more);
}

/* -------------------------------------------------- carriers and phases */

static void set_phase(char p)
{
    if (L.phase == p)
        return;
    if (L.phase)
        L.ph[L.phase - 'A'] += clk - L.phase_since;
    L.phase = p;
    L.phase_since = clk;
    if (p)
        ev("phase", "\"phase\":\"%c\"", p);
}

/* A frame was heard by the passive tap on a station's transmitter. */
static void tap_frame(void *user, const uint8_t *m, int len, int ok)
{
    station_t *s = user;
    if (len < 3)
        return;
    log_frame(s, "line", m, len, ok);
    if (!ok)
        return;
    int f = m[2] & 0xFE;
    L.last_fcf = m[2];
    if (f == T30_DCS && L.phase == 'D')
        set_phase('B');
    if (f == T30_DCN) {
        L.dcn = true;
        set_phase('E');
    }
    if (f == T30_MCF)
        L.mcf = true;
}

/* What is this station's transmitter doing? */
static void tx_kind(station_t *s, const char **kind, int *rate)
{
    *kind = "";
    *rate = 0;
    if (!s->off)
        return;
    if (s->kind == MODEM) {
        t31_state_t *t = s->t31;
        if (!t->at_state.transmit)
            return;
        switch (t->modem) {
        case FAX_MODEM_CED_TONE:   *kind = "ced"; break;
        case FAX_MODEM_CNG_TONE:   *kind = "cng"; break;
        case FAX_MODEM_V21_TX:     *kind = "v21"; *rate = 300; break;
        case FAX_MODEM_V17_TX:     *kind = "v17"; *rate = t->bit_rate; break;
        case FAX_MODEM_V27TER_TX:  *kind = "v27ter"; *rate = t->bit_rate; break;
        case FAX_MODEM_V29_TX:     *kind = "v29"; *rate = t->bit_rate; break;
        }
    } else if (s->fax && s->fax->modems.transmit) {
        fax_modems_state_t *m = &s->fax->modems;
        switch (m->current_tx_type) {
        case T30_MODEM_CED:     *kind = "ced"; break;
        case T30_MODEM_CNG:     *kind = "cng"; break;
        case T30_MODEM_V21:     *kind = "v21"; *rate = 300; break;
        case T30_MODEM_V17:     *kind = "v17"; *rate = m->tx_bit_rate; break;
        case T30_MODEM_V27TER:  *kind = "v27ter"; *rate = m->tx_bit_rate; break;
        case T30_MODEM_V29:     *kind = "v29"; *rate = m->tx_bit_rate; break;
        }
    }
}

static void tap_reset(station_t *s)
{
    hdlc_rx_init(&s->hdlc, false, true, 2, tap_frame, s);
    fsk_rx_init(&s->fsk, &preset_fsk_specs[FSK_V21CH2], FSK_FRAME_MODE_SYNC, (put_bit_func_t) hdlc_rx_put_bit, &s->hdlc);
}

/* Follow the transmitter: log each carrier when it ends, drive the phases. */
static void carrier_update(station_t *s)
{
    const char *k;
    int r;
    tx_kind(s, &k, &r);
    if (strcmp(k, s->carrier) == 0 && r == s->crate)
        return;
    if (s->carrier[0]) {
        bool fast = s->carrier[0] == 'v' && strcmp(s->carrier, "v21");
        ev("carrier", "\"st\":\"%c\",\"kind\":\"%s\",\"rate\":%d,\"start\":%.3f,\"dur\":%.3f%s", s->name, s->carrier,
           s->crate, secs(s->cstart), secs(clk - s->cstart), !fast ? "" : s->cimage ? ",\"use\":\"image\"" : ",\"use\":\"tcf\"");
        if (fast) {
            *(s->cimage ? &L.img : &L.tcf) += clk - s->cstart;
            if (s->cimage) set_phase('D');
        }
    }
    snprintf(s->carrier, sizeof s->carrier, "%s", k);
    s->crate = r;
    s->cstart = clk;
    if (!strcmp(k, "v21")) {
        if (L.phase == 'A') set_phase('B');
        tap_reset(s);
        s->tap_on = true;
    } else if (k[0] == 'v') {
        s->cimage = (L.last_fcf & 0xFE) != T30_DCS;
        if (s->cimage) {
            set_phase('C');
            L.images++;
            L.fast_rate = r;
            snprintf(L.fast_kind, sizeof L.fast_kind, "%s", k);
            for (int i = 0; i < nhits; i++)             /* hits anchored to this image */
                if (hits[i].state == 0 && hits[i].page == L.images) {
                    hits[i].start = clk + samples(hits[i].t);
                    hits[i].end = hits[i].start + samples(hits[i].dur);
                    hits[i].state = 1;
                }
            for (int i = 0; i < 2; i++)
                if (st[i].hangup_page == L.images)
                    st[i].stop_at = clk + samples(st[i].hangup_page_t);
        }
    }
}

/* ------------------------------------------------------------ fax machine */

static void fax_page(station_t *s, const char *evname, int code)
{
    t30_stats_t t;
    t30_get_transfer_statistics(fax_get_t30_state(s->fax), &t);
    s->stats = t;
    ev(evname, "\"st\":\"%c\",\"frame\":\"%s\",\"tx_pages\":%d,\"rx_pages\":%d,\"rate\":%d,\"ecm\":%d,\"enc\":\"%s\",\"width\":%d,\"rows\":%d,"
       "\"xres\":%d,\"yres\":%d,\"bytes\":%d,\"bad_rows\":%d,\"bad_run\":%d,\"ecm_retries\":%d",
       s->name, fcf_name(code), t.pages_tx, t.pages_rx, t.bit_rate, t.error_correcting_mode, t4_encoding_to_str(t.encoding),
       t.width, t.length, t.x_resolution, t.y_resolution, t.image_size, t.bad_rows, t.longest_bad_row_run,
       t.error_correcting_mode_retries);
}

static int on_phase_b(t30_state_t *t, void *user, int result)
{
    station_t *s = user;
    const char *pwd = t30_get_rx_password(t), *sub = t30_get_rx_sub_address(t);
    ev("phase_b", "\"st\":\"%c\",\"frame\":\"%s\",\"ident\":%s,\"sub\":%s,\"pwd\":%s,\"sep\":%s", s->name, fcf_name(result),
       js(t30_get_rx_ident(t), -1), js(sub, -1), js(pwd, -1), js(t30_get_rx_selective_polling_address(t), -1));
    if (s->need_pwd && (!pwd || strcmp(pwd, s->need_pwd)))
        return T30_ERR_PWD_UNACCEPTABLE;
    if (s->need_sub && (!sub || strcmp(sub, s->need_sub)))
        return T30_ERR_SUB_UNACCEPTABLE;
    if (s->first > t->current_fallback && (result & 0xFE) == T30_DIS)      /* the engine has just chosen its highest rate */
        t->current_fallback = s->first;
    return s->reject_b ? T30_ERR_IDENT_UNACCEPTABLE : T30_ERR_OK;
}

static int on_phase_d(t30_state_t *t, void *user, int result)
{
    (void) t;
    fax_page(user, "phase_d", result);
    return T30_ERR_OK;
}

static void on_phase_e(t30_state_t *t, void *user, int code)
{
    station_t *s = user;
    (void) t;
    fax_page(s, "phase_e", 0);
    s->finished = true;
    s->code = code;
    snprintf(s->codetext, sizeof s->codetext, "%s", t30_completion_code_to_str(code));
    if (!s->stop_at)
        s->stop_at = clk + samples(0.3);
}

/* next=FILE: another document after the first (the engine then sends EOM, and starts again from phase B). */
static int on_document(t30_state_t *t, void *user, int event)
{
    station_t *s = user;
    (void) event;
    if (!s->next || s->next_used)
        return false;
    s->next_used = true;
    ev("next_document", "\"st\":\"%c\",\"file\":%s", s->name, js(s->next, -1));
    t30_set_tx_file(t, s->next, -1, -1);
    return true;
}

static void on_frame(t30_state_t *t, void *user, int incoming, const uint8_t *m, int len)
{
    station_t *s = user;
    int f = len > 2 ? m[2] & 0xFE : 0;
    if (len > 2 && m[2] == T4_FCD) {
        if (incoming) s->fcd_rx++; else s->fcd_tx++;
        return;
    }
    if (O.trace || (len > 2 && m[2] == T4_RCP) || incoming)
        log_frame(s, incoming ? "t30rx" : "t30tx", m, len, true);
    /* rtn=N, rtp=N: falsify the bad row count just before the engine judges page N. */
    if (incoming && (f == T30_EOP || f == T30_MPS || f == T30_EOM) && t->operation_in_progress) {
        t30_stats_t q;
        t30_get_transfer_statistics(t, &q);
        s->pages_seen++;
        if (s->pages_seen == s->rtn && q.length > 0)
            t->t4.rx.t4_t6_rx.bad_rows = q.length/2;
        else if (s->pages_seen == s->rtp && q.length > 0)
            t->t4.rx.t4_t6_rx.bad_rows = q.length/10;
    }
}

/* The engine sends a frame: apply swap=, corrupt= and dcn=. */
static void on_send_hdlc(void *user, const uint8_t *m, int len)
{
    station_t *s = user;
    uint8_t b[300];
    fax_modems_state_t *md = &s->fax->modems;
    if (len > 2 && (m[2] & 0xFE) == T30_MCF && s->maxpages > 0 && s->outfile) {
        t30_stats_t q;
        t30_get_transfer_statistics(&s->fax->t30, &q);
        if (q.pages_rx > s->maxpages) {                         /* out of paper: spandsp has no page limit */
            const uint8_t dcn[3] = {0xFF, 0x13, (uint8_t) (T30_DCN | (m[2] & 1))};
            ev("tamper", "\"st\":\"%c\",\"op\":\"page limit\",\"frame\":\"MCF\",\"to\":\"DCN\"", s->name);
            hdlc_tx_frame(&md->hdlc_tx, dcn, 3);
            s->stop_at = clk + samples(1.6);
            return;
        }
    }
    if (len > 2 && len <= (int) sizeof b) {
        memcpy(b, m, (size_t) len);
        for (int i = 0; i < s->ntam; i++) {
            struct tamper *x = &s->tam[i];
            if ((m[2] & 0xFE) != (x->fcf & 0xFE) || ++x->seen != x->nth)
                continue;
            ev("tamper", "\"st\":\"%c\",\"op\":\"%s\",\"frame\":\"%s\",\"to\":\"%s\"", s->name,
               x->op == 's' ? "swap" : "corrupt", fcf_name(m[2]), x->op == 's' ? fcf_name(x->to) : "");
            if (x->op == 's') {
                b[1] = 0x13;
                b[2] = (uint8_t) ((x->to & 0xFE) | (m[2] & 1));
                hdlc_tx_frame(&md->hdlc_tx, b, x->to == T30_DCN ? 3 : (size_t) len);
                if (x->to == T30_DCN)
                    s->stop_at = clk + samples(1.6);    /* preamble and frame, then hang up */
            } else {
                hdlc_tx_frame(&md->hdlc_tx, b, (size_t) len);
                hdlc_tx_corrupt_frame(&md->hdlc_tx);
            }
            return;
        }
    }
    hdlc_tx_frame(&md->hdlc_tx, len > 0 ? m : NULL, len > 0 ? (size_t) len : 0);
}

/* "%d" in a file name becomes the call number. */
static const char *numbered(const char *pat, char *b, size_t n)
{
    const char *p = pat ? strstr(pat, "%d") : NULL;
    if (!p)
        return pat;
    snprintf(b, n, "%.*s%d%s", (int) (p - pat), pat, L.no, p + 2);
    return b;
}

static void span_trace(int level, const char *text)
{
    (void) level;
    int n = (int) strcspn(text, "\n");
    ev("trace", "\"text\":%s", js(text, n));
}

static void fax_start(station_t *s, bool calling)
{
    char b1[512], b2[512];
    s->fax = fax_init(NULL, calling);
    t30_state_t *t = fax_get_t30_state(s->fax);
    fax_set_transmit_on_idle(s->fax, true);
    fax_set_tep_mode(s->fax, s->tep);
    if (O.trace) {
        logging_state_t *l[2] = {fax_get_logging_state(s->fax), t30_get_logging_state(t)};
        for (int i = 0; i < 2; i++) {
            span_log_set_level(l[i], SPAN_LOG_SHOW_SEVERITY | SPAN_LOG_SHOW_PROTOCOL | SPAN_LOG_FLOW);
            span_log_set_message_handler(l[i], span_trace);
        }
    }
    if (s->ident)  t30_set_tx_ident(t, s->ident);
    if (s->sub)    t30_set_tx_sub_address(t, s->sub);
    if (s->sep)    t30_set_tx_selective_polling_address(t, s->sep);
    if (s->psa)    t30_set_tx_polled_sub_address(t, s->psa);
    if (s->sid)    t30_set_tx_sender_ident(t, s->sid);
    if (s->pwd)    t30_set_tx_password(t, s->pwd);
    if (s->header) t30_set_tx_page_header_info(t, s->header);
    if (s->nsf) {
        static const uint8_t nsf[] = "\xB5\x00\x53softline";     /* country, provider, text */
        t30_set_tx_nsf(t, nsf, sizeof nsf - 1);
        t30_set_tx_nsc(t, nsf, sizeof nsf - 1);
    }
    t30_set_ecm_capability(t, s->ecm);
    t30_set_supported_modems(t, s->modems);
    t30_set_supported_compressions(t, s->comp);
    t30_set_supported_resolutions(t, s->res);
    t30_set_supported_image_sizes(t, s->sizes);
    t30_set_supported_t30_features(t, T30_SUPPORT_IDENTIFICATION | T30_SUPPORT_SELECTIVE_POLLING
                                      | T30_SUPPORT_POLLED_SUB_ADDRESSING | T30_SUPPORT_SUB_ADDRESSING);
    t30_set_minimum_scan_line_time(t, s->minscan);
    t30_set_rx_encoding(t, s->enc);
    t->retransmit_capable = s->retransmit;
    if (s->rnr)
        t30_set_receiver_not_ready(t, s->rnr);
    if (s->in)
        t30_set_tx_file(t, numbered(s->in, b1, sizeof b1), -1, s->maxpages > 0 && calling ? s->maxpages - 1 : -1);
    if (s->outfile)
        t30_set_rx_file(t, numbered(s->outfile, b2, sizeof b2), s->maxpages > 0 ? s->maxpages - 1 : -1);
    s->next_used = false;
    if (s->next)
        t30_set_document_handler(t, on_document, s);
    t30_set_phase_b_handler(t, on_phase_b, s);
    t30_set_phase_d_handler(t, on_phase_d, s);
    t30_set_phase_e_handler(t, on_phase_e, s);
    t30_set_real_time_frame_handler(t, on_frame, s);
    if (s->ntam || s->maxpages > 0) {
        t->send_hdlc_handler = on_send_hdlc;
        t->send_hdlc_user_data = s;
    }
    s->finished = false;
    s->pages_seen = s->fcd_tx = s->fcd_rx = 0;
    for (int i = 0; i < s->ntam; i++)
        s->tam[i].seen = 0;
}

/* ---------------------------------------------------------- call handling */

static void end_leg(station_t *s, const char *why);

static void call_over(const char *why)
{
    bool ok = L.connected, nofax = true;
    set_phase(0);
    for (int i = 0; i < 2; i++) {
        station_t *s = &st[i];
        if (s->fax) {
            t30_stats_t *t = &s->stats;
            nofax = false;
            ok = ok && s->finished && s->code == T30_ERR_OK;
            ev("result", "\"st\":\"%c\",\"code\":%d,\"text\":%s,\"tx_pages\":%d,\"rx_pages\":%d,\"rate\":%d,\"ecm\":%d,\"enc\":\"%s\","
               "\"width\":%d,\"rows\":%d,\"bad_rows\":%d,\"ecm_retries\":%d,\"fcd_tx\":%d,\"fcd_rx\":%d,\"far_ident\":%s",
               s->name, s->finished ? s->code : -1, js(s->finished ? s->codetext : "not finished", -1), t->pages_tx, t->pages_rx,
               t->bit_rate, t->error_correcting_mode, t4_encoding_to_str(t->encoding), t->width, t->length, t->bad_rows,
               t->error_correcting_mode_retries, s->fcd_tx, s->fcd_rx, js(t30_get_rx_ident(&s->fax->t30), -1));
            fax_free(s->fax);
            s->fax = NULL;
        }
        s->stop_at = 0;
        s->slip = 0;
    }
    if (nofax)
        ok = ok && L.dcn && L.mcf;
    ev("call_end", "\"ok\":%s,\"why\":\"%s\",\"connected\":%s,\"setup_s\":%.3f,\"line_s\":%.3f,\"phase_s\":{\"A\":%.3f,\"B\":%.3f,\"C\":%.3f,\"D\":%.3f,\"E\":%.3f},"
       "\"tcf_s\":%.3f,\"image_s\":%.3f,\"images\":%d,\"carrier\":\"%s\",\"rate\":%d,\"dcn\":%d,\"mcf\":%d",
       ok ? "true" : "false", why, L.connected ? "true" : "false",
       secs((L.connected ? L.t_connect : clk) - L.t_dial), L.connected ? secs(clk - L.t_connect) : 0.0,
       secs(L.ph[0]), secs(L.ph[1]), secs(L.ph[2]), secs(L.ph[3]), secs(L.ph[4]), secs(L.tcf), secs(L.img),
       L.images, L.fast_kind, L.fast_rate, L.dcn, L.mcf);
    L.calls++;
    if (!ok)
        L.bad++;
    L.state = L_IDLE;
    L.next = clk + samples(O.gap);
}

/* A station goes on hook, of its own will or because the call was cleared. */
static void end_leg(station_t *s, const char *why)
{
    if (!s->off)
        return;
    s->off = false;
    carrier_update(s);
    ev("onhook", "\"st\":\"%c\",\"why\":\"%s\"", s->name, why);
    switch (L.state) {
    case L_DIAL: case L_RING:
        if (s == L.caller) call_over("caller gave up");
        break;
    case L_TALK:
        if (L.outcome == O_SILENT) { call_over("nobody there"); break; }
        L.state = L_CLEAR;
        L.why = s->name == 'A' ? "A hung up" : "B hung up";
        L.next = s->peer->hupdet > 0 ? clk + samples(s->peer->hupdet) : INT64_MAX;
        L.since = clk;
        break;
    case L_CLEAR:
        call_over(L.why);
        break;
    default:
        break;
    }
}

static void start_call(station_t *s, const char *num)
{
    memset(&L.connected, 0, sizeof L - offsetof(__typeof__(L), connected));
    L.no = L.calls + 1;
    L.caller = s;
    L.outcome = L.calls < O.nscript ? O.script[L.calls] : O.nscript ? O.script[O.nscript - 1] : O_OK;
    L.state = L_DIAL;
    L.t_dial = clk;
    L.ring_no = 0;
    L.cid_done = false;
    L.next = clk + samples(L.outcome == O_NODIALTONE ? 3.0 : 0.8 + 0.1*(double) strlen(num));
    s->off = true;
    ev("dial", "\"st\":\"%c\",\"number\":%s", s->name, js(num, -1));
    for (int i = 0; i < nhits; i++)
        hits[i].state = 0;
}

static void connect_call(station_t *callee)
{
    L.state = L_TALK;
    L.connected = true;
    L.t_connect = clk;
    ev("connect", "\"from\":\"%c\",\"to\":\"%c\"", L.caller->name, callee ? callee->name : '-');
    set_phase('A');
    for (int i = 0; i < nhits; i++)
        if (!hits[i].page) {
            hits[i].start = clk + samples(hits[i].t);
            hits[i].end = hits[i].start + samples(hits[i].dur);
            hits[i].state = 1;
        }
    for (int i = 0; i < 2; i++) {
        memset(st[i].hist, 0, sizeof st[i].hist);
        st[i].stop_at = st[i].hangup_at > 0 ? clk + samples(st[i].hangup_at) : 0;
    }
    if (L.caller->kind == MODEM)
        t31_call_event(L.caller->t31, AT_CALL_EVENT_CONNECTED);
    else
        fax_start(L.caller, true);
    if (callee) {
        callee->off = true;
        if (callee->kind == MODEM)
            t31_call_event(callee->t31, AT_CALL_EVENT_ANSWERED);
        else
            fax_start(callee, false);
    }
}

/* The dial attempt failed before anyone answered. */
static void call_failed(int event, const char *why)
{
    station_t *c = L.caller;
    if (c->kind == MODEM)
        t31_call_event(c->t31, event);
    c->off = false;
    ev("onhook", "\"st\":\"%c\",\"why\":\"%s\"", c->name, why);
    call_over(why);
}

/* Ring the called station once. */
static void ring_once(station_t *s)
{
    L.ring_no++;
    ev("ring", "\"st\":\"%c\",\"n\":%d", s->name, L.ring_no);
    if (s->kind != MODEM) {
        if (L.ring_no >= s->rings)
            connect_call(s);
        return;
    }
    if (L.ring_no == 1) {
        char d[8], t[8];
        time_t now = time(NULL);
        strftime(d, sizeof d, "%m%d", localtime(&now));
        strftime(t, sizeof t, "%H%M", localtime(&now));
        at_reset_call_info(&s->t31->at_state);
        if (s->nmbr || s->cname) {
            at_set_call_info(&s->t31->at_state, "DATE", d);
            at_set_call_info(&s->t31->at_state, "TIME", t);
            if (s->nmbr)  at_set_call_info(&s->t31->at_state, "NMBR", s->nmbr);
            if (s->cname) at_set_call_info(&s->t31->at_state, "NAME", s->cname);
        }
        /* Caller ID comes between the first and the second ring, unless cid=before. */
        s->t31->at_state.call_info_displayed = strcmp(s->cidwhen, "before") != 0;
    }
    if (s->pre) {
        char b[200], *p, *save = NULL;
        snprintf(b, sizeof b, "%s", s->pre);
        for (p = strtok_r(b, "/", &save); p; p = strtok_r(NULL, "/", &save))
            at_put_response(&s->t31->at_state, p);
    }
    t31_call_event(s->t31, AT_CALL_EVENT_ALERTING);
}

/* Act on what the AT interpreter asked for in its callbacks. */
static void modem_pending(station_t *s)
{
    int p = s->pending;
    s->pending = 0;
    if (p & PEND_HANGUP)
        end_leg(s, "modem on hook");
    if (p & PEND_ANSWER)
        connect_call(s);
    if (p & PEND_CALL) {
        if (L.state == L_IDLE && clk >= 0) {
            start_call(s, s->number);
        } else {
            ev("busy", "\"st\":\"%c\"", s->name);
            t31_call_event(s->t31, AT_CALL_EVENT_BUSY);
        }
    }
}

static void call_tick(void)
{
    station_t *c = L.caller, *d = c ? c->peer : NULL;
    switch (L.state) {
    case L_IDLE:
        for (int i = 0; i < 2; i++) {
            station_t *s = &st[i], *p = s->peer;
            if (s->kind != FAX_CALL || clk < L.next || (O.calls && L.calls >= O.calls) || p->off)
                continue;
            if (p->kind == MODEM && !(p->dte_open && p->dte_spoke && p->t31->at_state.at_rx_mode == AT_MODE_ONHOOK_COMMAND
                                      && clk - p->dte_last >= samples(s->delay) && wall() - p->dte_last_w > 0.3))
                continue;
            if (p->kind != MODEM && clk < samples(s->delay))
                continue;
            start_call(s, s->dial);
            break;
        }
        break;
    case L_DIAL:
        if (clk < L.next)
            break;
        if (L.outcome == O_BUSY || d->off)
            call_failed(AT_CALL_EVENT_BUSY, "busy");
        else if (L.outcome == O_NODIALTONE)
            call_failed(AT_CALL_EVENT_NO_DIALTONE, "no dialtone");
        else if (L.outcome == O_SILENT)
            connect_call(NULL);
        else {
            L.state = L_RING;
            L.since = L.next = clk;
        }
        break;
    case L_RING:
        if (clk - L.since >= samples(O.noanswer)) {
            call_failed(AT_CALL_EVENT_NO_ANSWER, "no answer");
            break;
        }
        if (L.outcome == O_NOANSWER)
            break;
        if (d->kind == MODEM && L.ring_no == 1 && !L.cid_done && clk >= L.since + samples(d->ring_on + 0.5)) {
            L.cid_done = true;
            if (d->t31->at_state.display_call_info && strcmp(d->cidwhen, "before"))
                at_display_call_info(&d->t31->at_state);
        }
        if (clk >= L.next) {
            L.next = clk + samples(d->ring_on + d->ring_off);
            if (d->kind != MODEM || d->dte_open)
                ring_once(d);
            if (d->kind == MODEM)
                modem_pending(d);
        }
        break;
    case L_CLEAR:
        if (clk >= L.next) {
            station_t *r = st[0].off ? &st[0] : &st[1];
            if (r->kind == MODEM) {
                t31_call_event(r->t31, AT_CALL_EVENT_HANGUP);
                r->pending = 0;
            } else if (r->fax && !r->finished)
                t30_terminate(&r->fax->t30);
            end_leg(r, "far end hung up");
        }
        break;
    case L_TALK:
        if (clk - L.t_connect > samples(O.maxcall))             /* the exchange clears endless calls */
            st[0].stop_at = st[1].stop_at = clk;
        break;
    }
    for (int i = 0; i < 2; i++)
        if (st[i].off && st[i].stop_at && clk >= st[i].stop_at && (L.state == L_TALK || L.state == L_CLEAR)) {
            station_t *s = &st[i];
            s->stop_at = 0;
            if (s->kind == MODEM) {
                t31_call_event(s->t31, AT_CALL_EVENT_HANGUP);
                s->pending = 0;
            } else if (s->fax && !s->finished)
                t30_terminate(&s->fax->t30);
            s->stop_at = 0;
            end_leg(s, s->fax && s->finished && s->code == 0 ? "call finished" : "scripted or failed");
        }
}

/* ------------------------------------------------------------- modem port */

static void put_dte(station_t *s, const void *b, size_t n)
{
    if (!s->dte_open)
        return;
    if (s->out_len + n > sizeof s->out) {
        ev("overrun", "\"st\":\"%c\",\"lost\":%zu", s->name, n);
        return;
    }
    memcpy(s->out + s->out_len, b, n);
    s->out_len += (unsigned) n;
    int64_t at = clk + samples(s->latency);
    if (s->mark_in != s->mark_out && (s->mark[(s->mark_in - 1) & 1023].at == at || s->mark_in - s->mark_out >= 1024))
        s->mark[(s->mark_in - 1) & 1023].n += (unsigned) n;
    else {
        s->mark[s->mark_in & 1023].at = at;
        s->mark[s->mark_in++ & 1023].n = (unsigned) n;
    }
}

/* Bytes from the modem towards the DTE: echo, received data, or response text. */
static int on_at_tx(at_state_t *at, void *user, const uint8_t *b, size_t n)
{
    station_t *s = user;
    (void) at;
    if (b == (const uint8_t *) s->feed) {                       /* echo */
        put_dte(s, b, n);
        return 0;
    }
    if (s->t31 && b == s->t31->at_state.rx_data) {              /* demodulated data */
        s->dce_bytes += (long) n;
        if (s->t31->bit_rate == 300 || s->t31->modem == FAX_MODEM_CNG_TONE || s->t31->modem == FAX_MODEM_V21_RX)
            ev("dce_frame", "\"st\":\"%c\",\"hex\":\"%s\"", s->name, hex(b, (int) n));
        put_dte(s, b, n);
        return 0;
    }
    if (n == 4 && memcmp(b, "RING", 4) == 0 && s->ringtext) {
        b = (const uint8_t *) s->ringtext;
        n = strlen(s->ringtext);
    }
    put_dte(s, b, n);
    for (size_t i = 0; i < n; i++) {
        if (b[i] == '\r' || b[i] == '\n') {
            if (s->rsp_len) {
                ev("rsp", "\"st\":\"%c\",\"text\":%s,\"data\":%ld", s->name, js(s->rsp, (int) s->rsp_len), s->dce_bytes);
                s->dce_bytes = 0;
                s->dte_last = clk;
                s->dte_last_w = s->rsp_w = wall();
                s->rsp_waiting = true;
            }
            s->rsp_len = 0;
        } else if (s->rsp_len < sizeof s->rsp)
            s->rsp[s->rsp_len++] = (char) b[i];
    }
    return 0;
}

static int on_modem_control(t31_state_t *t, void *user, int op, const char *num)
{
    station_t *s = user;
    (void) t;
    switch (op) {
    case AT_MODEM_CONTROL_CALL:
        if (s->off)
            return -1;
        snprintf(s->number, sizeof s->number, "%s", num ? num : "");
        s->pending |= PEND_CALL;
        break;
    case AT_MODEM_CONTROL_ANSWER:
        if (L.state != L_RING || s == L.caller || L.outcome != O_OK)
            return -1;                                          /* ATA with nothing to answer: ERROR */
        s->pending |= PEND_ANSWER;
        break;
    case AT_MODEM_CONTROL_HANGUP:
    case AT_MODEM_CONTROL_ONHOOK:
        s->pending |= PEND_HANGUP;
        break;
    case AT_MODEM_CONTROL_OFFHOOK:
        s->off = true;
        break;
    case AT_MODEM_CONTROL_CTS:
        s->cts = num != NULL;
        break;
    default:                                                    /* DTR, RTS, CAR, RNG, DSR, ... */
        break;
    }
    return 0;
}

/* One byte from the DTE.  Bytewise, because spandsp drops what follows DLE ETX in the same block. */
static void dte_byte(station_t *s, uint8_t c)
{
    at_state_t *at = &s->t31->at_state;
    int mode = at->at_rx_mode;
    s->dte_last = clk;
    s->dte_last_w = wall();
    s->rsp_waiting = false;
    switch (mode) {
    case AT_MODE_ONHOOK_COMMAND:
    case AT_MODE_OFFHOOK_COMMAND:
        if (c == '\r') {
            if (s->cmd_len)
                ev("at", "\"st\":\"%c\",\"text\":%s", s->name, js(s->cmd, (int) s->cmd_len));
            s->cmd_len = 0;
            s->dte_spoke = true;
        } else if (s->cmd_len < sizeof s->cmd && c != '\n')
            s->cmd[s->cmd_len++] = (char) c;
        break;
    case AT_MODE_HDLC:
        if (s->frm_dle) {
            s->frm_dle = false;
            if (c == ETX) {
                ev("dte_frame", "\"st\":\"%c\",\"hex\":\"%s\"", s->name, hex(s->frm, (int) s->frm_len));
                s->frm_len = 0;
                break;
            }
        } else if (c == DLE) {
            s->frm_dle = true;
            break;
        }
        if (s->frm_len >= T31_MAX_HDLC_LEN - 4) {               /* spandsp does not check */
            if (s->frm_len++ == T31_MAX_HDLC_LEN - 4)
                ev("overrun", "\"st\":\"%c\",\"what\":\"HDLC frame from DTE too long\"", s->name);
            return;
        }
        s->frm[s->frm_len++] = c;
        break;
    case AT_MODE_STUFFED:
        s->dte_bytes++;
        if (s->dle && c == ETX) {
            ev("dte_data", "\"st\":\"%c\",\"bytes\":%ld", s->name, s->dte_bytes);
            s->dte_bytes = 0;
            s->dle = false;
        } else
            s->dle = !s->dle && c == DLE;
        break;
    default:
        ev("dte_abort", "\"st\":\"%c\",\"byte\":\"%02X\",\"mode\":%d", s->name, c, mode);
        break;
    }
    if (mode != AT_MODE_HDLC && mode != AT_MODE_STUFFED) {
        s->frm_len = 0;
        s->frm_dle = s->dle = false;
    }
    s->feed[0] = (char) c;
    t31_at_rx(s->t31, s->feed, 1);
    if (s->pending)
        modem_pending(s);
}

/* The DTE closed the port: DTR drops, which hangs up and ends any reception. */
static void dte_closed(station_t *s)
{
    ev("dte_close", "\"st\":\"%c\"", s->name);
    s->dte_open = s->dte_spoke = false;
    s->out_len = s->out_ok = s->mark_in = s->mark_out = 0;
    s->cmd_len = 0;
    s->rsp_waiting = false;
    if (s->off && !s->dtr_ignore) {
        t31_call_event(s->t31, AT_CALL_EVENT_HANGUP);
        s->pending = 0;
        end_leg(s, "DTR dropped");
    }
}

static void modem_read(station_t *s)
{
    uint8_t b[256];
    s->credit_in = s->baud > 0 ? fmin(s->credit_in + s->baud/10*TICK/RATE, 64) : 1e9;
    while (s->cts && s->credit_in >= 1) {
        size_t want = s->credit_in < sizeof b ? (size_t) s->credit_in : sizeof b;
        if (s->t31->at_state.at_rx_mode == AT_MODE_STUFFED && want > 64)
            want = 64;                                          /* stop soon after CTS drops */
        ssize_t n = read(s->mfd, b, want);
        if (n < 0 && errno == EIO) {                            /* nobody has the slave open */
            if (s->dte_open)
                dte_closed(s);
            return;
        }
        if (!s->dte_open) {
            struct pollfd p = {.fd = s->mfd, .events = POLLIN};
            if (poll(&p, 1, 0) >= 0 && (p.revents & POLLHUP))
                return;
            s->dte_open = true;
            s->cts = true;
            s->dte_last = clk;
            s->dte_last_w = wall();
            ev("dte_open", "\"st\":\"%c\"", s->name);
        }
        if (n <= 0)
            return;
        s->credit_in -= (double) n;
        for (ssize_t i = 0; i < n; i++)
            dte_byte(s, b[i]);
    }
}

static void modem_write(station_t *s)
{
    s->credit_out = s->baud > 0 ? fmin(s->credit_out + s->baud/10*TICK/RATE, 64) : 1e9;
    while (s->mark_out != s->mark_in && s->mark[s->mark_out & 1023].at <= clk)
        s->out_ok += s->mark[s->mark_out++ & 1023].n;
    size_t n = s->out_ok < s->credit_out ? s->out_ok : (size_t) s->credit_out;
    if (!n)
        return;
    ssize_t w = write(s->mfd, s->out, n);
    if (w > 0) {
        s->out_len -= (unsigned) w;
        s->out_ok -= (unsigned) w;
        s->credit_out -= (double) w;
        memmove(s->out, s->out + w, s->out_len);
    }
}

static void modem_open(station_t *s)
{
    struct termios tio;
    s->mfd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (s->mfd < 0 || grantpt(s->mfd) || unlockpt(s->mfd))
        die("pty: %s", strerror(errno));
    const char *slave = ptsname(s->mfd);
    chmod(slave, 0666);
    int fd = open(slave, O_RDWR | O_NOCTTY);            /* set raw once; it lasts while we hold the master */
    if (fd < 0 || tcgetattr(fd, &tio))
        die("%s: %s", slave, strerror(errno));
    cfmakeraw(&tio);
    cfsetspeed(&tio, B115200);
    tcsetattr(fd, TCSANOW, &tio);
    close(fd);
    unlink(s->path);
    if (symlink(slave, s->path))
        die("%s: %s", s->path, strerror(errno));
    s->cts = true;
    s->t31 = t31_init(NULL, on_at_tx, s, on_modem_control, s, NULL, NULL);
    if (!s->t31 || s->t31->at_state.p.s_regs[3] != '\r')
        die("spandsp headers and library disagree");
    t31_set_transmit_on_idle(s->t31, true);
    t31_set_tep_mode(s->t31, s->tep);
    if (O.trace) {
        span_log_set_level(t31_get_logging_state(s->t31), SPAN_LOG_SHOW_SEVERITY | SPAN_LOG_SHOW_PROTOCOL | SPAN_LOG_FLOW);
        span_log_set_message_handler(t31_get_logging_state(s->t31), span_trace);
    }
    ev("port", "\"st\":\"%c\",\"path\":%s,\"tty\":%s", s->name, js(s->path, -1), js(slave, -1));
}

/* --------------------------------------------------------------- the line */

static int16_t clip(double v) { return v > 32767 ? 32767 : v < -32768 ? -32768 : (int16_t) lrint(v); }

/* Carry one tick of sound from station f to station t. */
static void carry(station_t *f, station_t *t)
{
    static double gain = -1, egain;
    unsigned d = (unsigned) samples(O.delay/1000), e = (unsigned) samples(O.echo_ms/1000);
    if (gain < 0) {
        gain = pow(10, -O.loss/20);
        egain = pow(10, -O.echo/20);
    }
    for (unsigned i = 0; i < TICK; i++) {
        int64_t now = clk + i;
        unsigned fp = f->hist_pos + i, tp = t->hist_pos + i;
        double v = gain*f->hist[(fp - d - (unsigned) f->slip) & (RING_LEN - 1)];
        if (L.state == L_CLEAR && !f->off)                      /* busy tone from the exchange */
            v = ((now - L.since)/(RATE/2)) & 1 ? 0 : 1400*(sin(now*2*M_PI*480/RATE) + sin(now*2*M_PI*620/RATE));
        if (O.has_echo)
            v += egain*t->hist[(tp - e) & (RING_LEN - 1)];
        if (O.has_noise)
            v += awgn(&t->noise);
        for (int h = 0; h < nhits; h++) {
            struct hit *x = &hits[h];
            if (x->state < 1 || x->state > 2 || !(x->dir & (f->name == 'A' ? 1 : 2)) || now < x->start)
                continue;
            if (x->state == 1) {
                x->state = 2;
                ev("hit", "\"kind\":\"%c\",\"dur\":%.3f", x->kind, x->dur);
            }
            if (now >= x->end) { if (i == TICK - 1) x->state = 3; continue; }
            switch (x->kind) {
            case 's': v = 0; break;
            case 'p': v = -v; break;
            case 'n':
                if (!t->burst_on) { awgn_init_dbm0(&t->burst, (int) (O.seed + 77U + (unsigned) h), (float) x->level); t->burst_on = true; }
                v += awgn(&t->burst);
                break;
            case 'l': if (now == x->start) f->slip += 1; break;
            }
        }
        int16_t y = clip(v);
        if (O.ulaw) y = ulaw_to_linear(linear_to_ulaw(y));
        else if (O.alaw) y = alaw_to_linear(linear_to_alaw(y));
        t->rx[i] = y;
    }
}

static void line_tick(void)
{
    for (int i = 0; i < 2; i++) {
        station_t *s = &st[i];
        int n = 0;
        if (s->off && s->kind == MODEM && L.state != L_DIAL && L.state != L_RING)
            n = t31_tx(s->t31, s->tx, TICK);
        else if (s->off && s->fax)
            n = fax_tx(s->fax, s->tx, TICK);
        if (n < TICK)
            memset(s->tx + n, 0, sizeof(int16_t)*(size_t) (TICK - n));
        for (int k = 0; k < TICK; k++)
            s->hist[(s->hist_pos + (unsigned) k) & (RING_LEN - 1)] = s->tx[k];
        if (s->tap_on && s->off && L.connected) {
            fsk_rx(&s->fsk, s->tx, TICK);
            if (strcmp(s->carrier, "v21") && clk - s->cstart > RATE/10)
                s->tap_on = false;
        }
    }
    if (L.state == L_TALK || L.state == L_CLEAR)
        for (int i = 0; i < 2; i++)
            carry(&st[i], st[i].peer);
    else
        for (int i = 0; i < 2; i++)
            memset(st[i].rx, 0, sizeof st[i].rx);
    for (int i = 0; i < 2; i++) {
        station_t *s = &st[i];
        s->hist_pos += TICK;
        if (!s->off)
            continue;
        if (s->kind == MODEM && L.state != L_DIAL && L.state != L_RING)
            t31_rx(s->t31, s->rx, TICK);
        else if (s->fax)
            fax_rx(s->fax, s->rx, TICK);
    }
    clk += TICK;
    for (int i = 0; i < 2; i++) {
        if (L.state == L_TALK || L.state == L_CLEAR)
            carrier_update(&st[i]);
        if (st[i].kind == MODEM && st[i].pending)
            modem_pending(&st[i]);
    }
}

/* -------------------------------------------------------------- arguments */

static int bits(const char *v, const char *const names[], const int vals[])
{
    char b[200], *save = NULL;
    int r = 0;
    snprintf(b, sizeof b, "%s", v);
    for (char *p = strtok_r(b, "+", &save); p; p = strtok_r(NULL, "+", &save)) {
        int i = 0;
        while (names[i] && strcasecmp(names[i], p)) i++;
        if (!names[i]) die("unknown value '%s'", p);
        r |= vals[i];
    }
    return r;
}

static void tamper_opt(station_t *s, char op, char *v, int to)
{
    if (s->ntam >= 8) die("too many swap/corrupt/dcn options");
    struct tamper *x = &s->tam[s->ntam++];
    char *p = strtok(v, ":"), *q;
    x->op = op;
    x->fcf = fcf_code(p ? p : "");
    if (op == 's' && to < 0) {
        q = strtok(NULL, ":");
        x->to = fcf_code(q ? q : "");
    } else
        x->to = to;
    q = strtok(NULL, ":");
    x->nth = q ? atoi(q) : 1;
}

static void station_opt(station_t *s, char *k, char *v)
{
    static const char *const mn[] = {"v27", "v29", "v17", NULL};
    static const int mv[] = {T30_SUPPORT_V27TER, T30_SUPPORT_V29, T30_SUPPORT_V17};
    static const char *const cn[] = {"mh", "mr", "mmr", NULL};
    static const int cv[] = {T30_SUPPORT_T4_1D_COMPRESSION, T30_SUPPORT_T4_2D_COMPRESSION, T30_SUPPORT_T6_COMPRESSION};
    static const char *const rn[] = {"std", "fine", "super", "r16", "300", "400", "600", NULL};
    static const int rv[] = {T30_SUPPORT_STANDARD_RESOLUTION, T30_SUPPORT_FINE_RESOLUTION, T30_SUPPORT_SUPERFINE_RESOLUTION,
                             T30_SUPPORT_R16_RESOLUTION, T30_SUPPORT_300_300_RESOLUTION, T30_SUPPORT_400_400_RESOLUTION, T30_SUPPORT_600_600_RESOLUTION};
    static const char *const sn[] = {"a4w", "b4w", "a3w", "unlimited", "a4", "b4", "letter", "legal", NULL};
    static const int sv[] = {T30_SUPPORT_215MM_WIDTH, T30_SUPPORT_255MM_WIDTH, T30_SUPPORT_303MM_WIDTH, T30_SUPPORT_UNLIMITED_LENGTH,
                             T30_SUPPORT_A4_LENGTH, T30_SUPPORT_B4_LENGTH, T30_SUPPORT_US_LETTER_LENGTH, T30_SUPPORT_US_LEGAL_LENGTH};
    static const char *const en[] = {"mh", "mr", "mmr", NULL};
    static const int evv[] = {T4_COMPRESSION_ITU_T4_1D, T4_COMPRESSION_ITU_T4_2D, T4_COMPRESSION_ITU_T6};
#define STR(name, field) if (!strcmp(k, name)) { s->field = v; return; }
#define INT(name, field) if (!strcmp(k, name)) { s->field = atoi(v); return; }
#define DBL(name, field) if (!strcmp(k, name)) { s->field = atof(v); return; }
    STR("in", in) STR("next", next) INT("nsf", nsf) STR("out", outfile) STR("dial", dial) STR("ident", ident) STR("sub", sub) STR("sep", sep) STR("psa", psa)
    STR("sid", sid) STR("pwd", pwd) STR("header", header) STR("need-pwd", need_pwd) STR("need-sub", need_sub)
    STR("nmbr", nmbr) STR("name", cname) STR("ringtext", ringtext) STR("pre", pre) STR("cid", cidwhen)
    INT("ecm", ecm) INT("minscan", minscan) INT("pages", maxpages) INT("rings", rings) INT("rtn", rtn) INT("rtp", rtp)
    INT("rnr", rnr) INT("tep", tep) INT("reject-b", reject_b) INT("retransmit", retransmit)
    DBL("delay", delay) DBL("hupdet", hupdet) DBL("hangup-at", hangup_at) DBL("baud", baud)
    if (!strcmp(k, "latency")) { s->latency = atof(v)/1000; return; }
    if (!strcmp(k, "hangup-page")) { if (sscanf(v, "%d+%lf", &s->hangup_page, &s->hangup_page_t) < 1) die("hangup-page=N+SEC"); return; }
    if (!strcmp(k, "ring")) { if (sscanf(v, "%lf-%lf", &s->ring_on, &s->ring_off) != 2) die("ring=ON-OFF"); return; }
    if (!strcmp(k, "dtr")) { s->dtr_ignore = !strcmp(v, "ignore"); return; }
    if (!strcmp(k, "first")) {                                  /* the engine's own table, in its order */
        static const char *const rates[] = {"v17/14400", "v17/12000", "v17/9600", "v29/9600", "v17/7200", "v29/7200", "v27ter/4800", "v27ter/2400"};
        while (s->first < 8 && strcmp(rates[s->first], v)) s->first++;
        if (s->first == 8) die("first=: unknown rate '%s'", v);
        return;
    }
    if (!strcmp(k, "modems")) { s->modems = bits(v, mn, mv); return; }
    if (!strcmp(k, "comp")) { s->comp = bits(v, cn, cv); return; }
    if (!strcmp(k, "res")) { s->res = bits(v, rn, rv) | T30_SUPPORT_R8_RESOLUTION | T30_SUPPORT_STANDARD_RESOLUTION; return; }
    if (!strcmp(k, "size")) { s->sizes = bits(v, sn, sv) | T30_SUPPORT_215MM_WIDTH | T30_SUPPORT_A4_LENGTH; return; }
    if (!strcmp(k, "enc")) { s->enc = bits(v, en, evv); return; }
    if (!strcmp(k, "swap")) { tamper_opt(s, 's', v, -1); return; }
    if (!strcmp(k, "corrupt")) { tamper_opt(s, 'c', v, 0); return; }
    if (!strcmp(k, "dcn")) { tamper_opt(s, 's', v, T30_DCN); return; }
    die("unknown station option '%s'", k);
}

static void station_parse(station_t *s, char *spec)
{
    char *save = NULL, *p = strtok_r(spec, ",", &save);
    s->ecm = 1; s->rings = 1; s->delay = 1.5; s->hupdet = 1.0; s->dial = "5551234"; s->cidwhen = "after"; s->retransmit = 1;
    s->ring_on = 2; s->ring_off = 4; s->enc = T4_COMPRESSION_ITU_T6; s->mfd = -1;
    s->modems = T30_SUPPORT_V27TER | T30_SUPPORT_V29 | T30_SUPPORT_V17;
    s->comp = T30_SUPPORT_T4_1D_COMPRESSION | T30_SUPPORT_T4_2D_COMPRESSION | T30_SUPPORT_T6_COMPRESSION;
    s->res = T30_SUPPORT_STANDARD_RESOLUTION | T30_SUPPORT_FINE_RESOLUTION | T30_SUPPORT_SUPERFINE_RESOLUTION | T30_SUPPORT_R8_RESOLUTION;
    s->sizes = T30_SUPPORT_215MM_WIDTH | T30_SUPPORT_A4_LENGTH | T30_SUPPORT_US_LETTER_LENGTH | T30_SUPPORT_US_LEGAL_LENGTH | T30_SUPPORT_UNLIMITED_LENGTH;
    if (!p) die("empty station");
    if (!strncmp(p, "modem:", 6)) { s->kind = MODEM; s->path = p + 6; }
    else if (!strcmp(p, "fax:answer")) s->kind = FAX_ANSWER;
    else if (!strcmp(p, "fax:call")) s->kind = FAX_CALL;
    else die("station must be modem:PATH, fax:answer or fax:call, not '%s'", p);
    while ((p = strtok_r(NULL, ",", &save))) {
        char *eq = strchr(p, '=');
        if (!eq) die("station option '%s' needs a value", p);
        *eq = 0;
        station_opt(s, p, eq + 1);
    }
    if (s->kind != MODEM && !s->in && !s->outfile) die("fax station needs in= or out=");
}

/* --hit [pN+]T:MS:KIND[:DIR[:LEVEL]] */
static void hit_parse(char *v)
{
    if (nhits >= MAXHITS) die("too many hits");
    struct hit *h = &hits[nhits++];
    char *save = NULL, *t = strtok_r(v, ":", &save), *ms = strtok_r(NULL, ":", &save), *k = strtok_r(NULL, ":", &save),
         *d = strtok_r(NULL, ":", &save), *l = strtok_r(NULL, ":", &save);
    if (!t || !ms || !k) die("--hit [pN+]T:MS:silence|noise|phase|slip[:ab|ba|both[:DBM0]]");
    if (*t == 'p') {
        h->page = atoi(t + 1);
        char *q = strchr(t, '+');
        h->t = q ? atof(q + 1) : 0;
    } else
        h->t = atof(t);
    h->dur = atof(ms)/1000;
    h->kind = !strcmp(k, "slip") ? 'l' : *k;
    if (!strchr("snpl", h->kind)) die("unknown hit kind '%s'", k);
    h->dir = !d || !strcmp(d, "both") ? 3 : !strcmp(d, "ab") ? 1 : !strcmp(d, "ba") ? 2 : 0;
    if (!h->dir) die("hit direction is ab, ba or both");
    h->level = l ? atof(l) : -10;
}

static void on_signal(int n) { (void) n; quit = 1; }

static const char USAGE[] =
    "usage: softline [options] STATION_A STATION_B\n"
    "stations: modem:PATH[,opt=val...]  fax:answer,out=FILE[,...]  fax:call,in=FILE[,...]\n"
    "options:  --speed N --calls N --gap S --log FILE --max-time S --max-call S --linger S --elastic MS --trace\n"
    "          --delay MS --loss DB --noise DBM0 --echo DB:MS --ulaw --alaw --seed N\n"
    "          --hit [pN+]T:MS:silence|noise|phase|slip[:ab|ba|both[:DBM0]]  (may repeat)\n"
    "          --script ok|busy|noanswer|nodialtone|silent[,...]  --noanswer S\n"
    "see README.md\n";

int main(int argc, char **argv)
{
    int ns = 0, timed_out = 0;
    logfp = stdout;
    clock_gettime(CLOCK_MONOTONIC, &wall0);
    for (int i = 1; i < argc; i++) {
        char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (strncmp(a, "--", 2)) {
            if (ns >= 2) die("two stations, please\n%s", USAGE);
            station_parse(&st[ns++], a);
            continue;
        }
        if (!strcmp(a, "--help")) { fputs(USAGE, stdout); return 0; }
        if (!strcmp(a, "--ulaw")) { O.ulaw = true; continue; }
        if (!strcmp(a, "--alaw")) { O.alaw = 1; continue; }
        if (!strcmp(a, "--trace")) { O.trace = true; continue; }
        if (!v) die("%s needs a value", a);
        i++;
        if (!strcmp(a, "--speed")) O.speed = atof(v);
        else if (!strcmp(a, "--calls")) O.calls = atoi(v);
        else if (!strcmp(a, "--gap")) O.gap = atof(v);
        else if (!strcmp(a, "--max-time")) O.maxtime = atof(v);
        else if (!strcmp(a, "--max-call")) O.maxcall = atof(v);
        else if (!strcmp(a, "--linger")) O.linger = atof(v);
        else if (!strcmp(a, "--elastic")) O.elastic = atof(v)/1000;
        else if (!strcmp(a, "--delay")) O.delay = atof(v);
        else if (!strcmp(a, "--loss")) O.loss = atof(v);
        else if (!strcmp(a, "--noise")) { O.noise = atof(v); O.has_noise = true; }
        else if (!strcmp(a, "--echo")) { if (sscanf(v, "%lf:%lf", &O.echo, &O.echo_ms) != 2) die("--echo DB:MS"); O.has_echo = true; }
        else if (!strcmp(a, "--seed")) O.seed = (unsigned) atoi(v);
        else if (!strcmp(a, "--noanswer")) O.noanswer = atof(v);
        else if (!strcmp(a, "--hit")) hit_parse(v);
        else if (!strcmp(a, "--log")) { if (strcmp(v, "-") && !(logfp = fopen(v, "w"))) die("%s: %s", v, strerror(errno)); }
        else if (!strcmp(a, "--script")) {
            static const char *const on[] = {"ok", "busy", "noanswer", "nodialtone", "silent"};
            char *save = NULL;
            for (char *p = strtok_r(v, ",", &save); p; p = strtok_r(NULL, ",", &save)) {
                int k = 0;
                while (k < 5 && strcmp(on[k], p)) k++;
                if (k == 5 || O.nscript >= 64) die("--script: '%s'", p);
                O.script[O.nscript++] = (enum outcome) k;
            }
        } else die("unknown option %s\n%s", a, USAGE);
    }
    if (ns != 2) die("two stations, please\n%s", USAGE);
    if (O.delay > 3000 || O.echo_ms > 3000) die("delays are limited to 3000 ms");
    st[0].peer = &st[1];
    st[1].peer = &st[0];
    for (int i = 0, n = 0; i < 2; i++)
        if ((n += st[i].kind == FAX_ANSWER) == 2) die("nobody would call");
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    TIFFSetWarningHandler(NULL);
    for (int i = 0; i < 2; i++) {
        if (O.has_noise)
            awgn_init_dbm0(&st[i].noise, (int) (O.seed*2 + (unsigned) i + 1234), (float) O.noise);
        if (st[i].kind == MODEM)
            modem_open(&st[i]);
    }
    ev("start", "\"speed\":%g,\"delay_ms\":%g,\"loss_db\":%g,\"noise\":%g,\"seed\":%u", O.speed, O.delay, O.loss, O.has_noise ? O.noise : -99, O.seed);
    clock_gettime(CLOCK_MONOTONIC, &wall0);

    double base_w = 0, late = 0, done_w = -1, stalled = 0;
    int64_t base_c = 0;
    while (!quit) {
        for (int i = 0; i < 2; i++)
            if (st[i].kind == MODEM)
                modem_read(&st[i]);
        /* --elastic: the line waits a moment for a DTE that has a response to think about. */
        if (O.elastic > 0 && L.state == L_TALK) {
            bool wait = false;
            for (int i = 0; i < 2; i++)
                wait |= st[i].kind == MODEM && st[i].rsp_waiting && wall() - st[i].rsp_w < O.elastic;
            if (wait) {
                struct timespec ts = {0, 200000};
                double w0 = wall();
                nanosleep(&ts, NULL);
                stalled += wall() - w0;
                base_w += wall() - w0;
                continue;
            }
        }
        call_tick();
        line_tick();
        for (int i = 0; i < 2; i++)
            if (st[i].kind == MODEM)
                modem_write(&st[i]);
        if (O.maxtime > 0 && secs(clk) > O.maxtime) {
            ev("timeout", NULL);
            timed_out = 1;
            break;
        }
        /* Enough calls: give the DTEs time to notice, then leave. */
        if (O.calls && L.calls >= O.calls && L.state == L_IDLE) {
            bool open = st[0].dte_open || st[1].dte_open;
            if (done_w < 0) done_w = wall();
            if (!open || wall() - done_w > O.linger)
                break;
        }
        if (O.speed > 0) {
            double target = base_w + secs(clk - base_c)/O.speed, now = wall();
            if (now - target > 0.25) {                          /* cannot keep up: start afresh */
                late += now - target;
                base_w = now;
                base_c = clk;
            } else if (target > now) {
                struct timespec ts = {(time_t) (target - now), (long) (fmod(target - now, 1.0)*1e9)};
                nanosleep(&ts, NULL);
            }
        }
    }
    if (L.state != L_IDLE) {
        for (int i = 0; i < 2; i++)
            if (st[i].fax && !st[i].finished)
                t30_terminate(&st[i].fax->t30);
        call_over(timed_out ? "time limit" : "interrupted");
    }
    ev("end", "\"calls\":%d,\"failed\":%d,\"line_s\":%.3f,\"wall_s\":%.3f,\"late_s\":%.3f,\"stalled_s\":%.3f", L.calls, L.bad, secs(clk), wall(), late, stalled);
    for (int i = 0; i < 2; i++)
        if (st[i].kind == MODEM) {
            unlink(st[i].path);
            close(st[i].mfd);
            t31_free(st[i].t31);
        }
    if (timed_out)
        return 3;
    return L.bad || (O.calls && L.calls < O.calls) ? 1 : 0;
}
