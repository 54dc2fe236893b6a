/* Another clock and another order of files, for any program that asks its libc for them.
 *
 * Loaded by LD_PRELOAD into whatever runs in a container. It needs no libc of its own: what it asks
 * of the system are raw system calls, and where libc's own function is to be called, it is found
 * among the objects that are loaded. So one file per architecture serves glibc and musl, old and
 * new. Without any of its variables each function hands on to libc's.
 *
 *   MLCONTAINER_CLOCK_OFFSET_S=N   the wall clock is N seconds ahead (behind, where negative)
 *   MLCONTAINER_CLOCK_FIXED_S=N    the wall clock starts at N (Unix time) in each process, and
 *                                  advances by 1 µs with each reading, and by what is slept; an
 *                                  offset is added
 *   MLCONTAINER_FILE_ORDER=reverse readdir gives the names of a folder in reverse
 *
 * The monotonic clocks and the times of files stay as they are. Deadlines that a program computes
 * from the wall clock are translated to the kernel's where it waits for them.
 *
 * Not seen: static programs, system calls made without libc's wrappers, absolute timerfd and POSIX
 * timers, message queues, C11's cnd_timedwait and mtx_timedlock; and the folders that libc reads for
 * itself in glob, scandir, nftw and fts.
 *
 * Compile with scripts/preload.py, which writes the two libraries beside this file.
 */
#include <stddef.h>
#include <stdint.h>

#define EXPORT __attribute__((visibility("default")))
#define WEAK __attribute__((weak))

#if defined(__x86_64__)
enum {
    SYS_READ = 0, SYS_CLOSE = 3, SYS_FSTAT = 5, SYS_LSEEK = 8, SYS_MMAP = 9, SYS_MUNMAP = 11,
    SYS_SCHED_YIELD = 24, SYS_MREMAP = 25, SYS_FCNTL = 72, SYS_GETDENTS64 = 217,
    SYS_CLOCK_GETTIME = 228, SYS_OPENAT = 257,
};
enum { O_DIRECTORY = 0200000, STAT_MODE_AT = 24 };
#elif defined(__aarch64__)
enum {
    SYS_FCNTL = 25, SYS_OPENAT = 56, SYS_CLOSE = 57, SYS_GETDENTS64 = 61, SYS_LSEEK = 62,
    SYS_READ = 63, SYS_FSTAT = 80, SYS_CLOCK_GETTIME = 113, SYS_SCHED_YIELD = 124,
    SYS_MUNMAP = 215, SYS_MREMAP = 216, SYS_MMAP = 222,
};
enum { O_DIRECTORY = 040000, STAT_MODE_AT = 16 };
#else
#error "amd64 and arm64 only"
#endif

enum {
    O_ACCMODE = 3, O_WRONLY = 1, O_NONBLOCK = 04000, O_CLOEXEC = 02000000, O_PATH = 010000000,
    AT_FDCWD = -100, F_GETFL = 3, S_IFMT = 0170000, S_IFDIR = 0040000,
    PROT_READ_WRITE = 3, MAP_PRIVATE_ANONYMOUS = 0x22, MREMAP_MAYMOVE = 1,
    ENOENT = 2, EINTR = 4, EBADF = 9, ENOMEM = 12, EINVAL = 22, ENOTDIR = 20, ENAMETOOLONG = 36, ENOSYS = 38,
    ETIMEDOUT = 110,
    CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_REALTIME_COARSE = 5, CLOCK_TAI = 11,
    TIMER_ABSTIME = 1, TIME_UTC = 1,
};

struct timespec { int64_t tv_sec; int64_t tv_nsec; };
struct timeval { int64_t tv_sec; int64_t tv_usec; };
struct dirent { uint64_t d_ino; int64_t d_off; uint16_t d_reclen; uint8_t d_type; char d_name[256]; };

extern int *__errno_location(void) WEAK;
extern char **environ WEAK;

/* ---- The system ------------------------------------------------------------------------- */

static long call(long number, long a, long b, long c, long d, long e, long f)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
#endif
}

static int failed(long result) { return result < 0 && result > -4096; }

static void set_errno(int number)
{
    if (__errno_location)
        *__errno_location() = number;
}

/* A system call's result as libc gives it: -1 and errno. */
static long told(long result)
{
    if (!failed(result))
        return result;
    set_errno((int)-result);
    return -1;
}

static void *pages(size_t size)
{
    long at = call(SYS_MMAP, 0, (long)size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
    return failed(at) ? NULL : (void *)at;
}

static void *more_pages(void *old, size_t size, size_t wanted)
{
    long at = call(SYS_MREMAP, (long)old, (long)size, (long)wanted, MREMAP_MAYMOVE, 0, 0);
    return failed(at) ? NULL : (void *)at;
}

static void no_pages(void *at, size_t size)
{
    if (at)
        call(SYS_MUNMAP, (long)at, (long)size, 0, 0, 0, 0);
}

static void copy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((char *)to)[i] = ((const char *)from)[i];
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

/* ---- The functions behind ours ---------------------------------------------------------- */

/* ELF and dl_iterate_phdr, as far as needed. dlsym is no help: until glibc 2.34 it is in a library
 * of its own, which not every program has loaded, and it can give a function of an older version. */
struct program_header {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_size, size, align;
};
struct object { uintptr_t base; const char *name; const struct program_header *headers; uint16_t count; };
struct dynamic { int64_t tag; uint64_t value; };
struct symbol { uint32_t name; uint8_t info, other; uint16_t section; uint64_t value, size; };
enum { PT_DYNAMIC = 2, STT_FUNC = 2, VERSION_HIDDEN = 0x8000 };
enum { DT_HASH = 4, DT_STRTAB = 5, DT_SYMTAB = 6, DT_GNU_HASH = 0x6ffffef5, DT_VERSYM = 0x6ffffff0 };

extern int dl_iterate_phdr(int (*)(struct object *, size_t, void *), void *) WEAK;
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

struct names {
    const struct symbol *symbols;
    const char *strings;
    const uint32_t *hash, *gnu_hash;
    const uint16_t *versions;
};

struct search { const char *name; int behind_us; void *found; };

static struct names names_of(const struct object *object, const struct dynamic *entry)
{
    struct names names = {0};
    for (; entry->tag; entry++) {
        /* glibc has put addresses here, musl leaves offsets. */
        uintptr_t at = entry->value < object->base ? object->base + entry->value : entry->value;
        if (entry->tag == DT_HASH) names.hash = (const uint32_t *)at;
        if (entry->tag == DT_STRTAB) names.strings = (const char *)at;
        if (entry->tag == DT_SYMTAB) names.symbols = (const struct symbol *)at;
        if (entry->tag == DT_GNU_HASH) names.gnu_hash = (const uint32_t *)at;
        if (entry->tag == DT_VERSYM) names.versions = (const uint16_t *)at;
    }
    return names;
}

/* Whether a symbol is the function of that name that a program linked today would get. */
static int is_wanted(const struct names *in, uint32_t index, const char *name)
{
    const struct symbol *symbol = &in->symbols[index];
    return symbol->section && (symbol->info & 15) == STT_FUNC && symbol->value
        && !(in->versions && in->versions[index] & VERSION_HIDDEN)
        && same(in->strings + symbol->name, name);
}

static uint32_t find_gnu(const struct names *in, const char *name)
{
    uint32_t hash = 5381;
    for (const char *at = name; *at; at++)
        hash = hash * 33 + (uint8_t)*at;
    const uint32_t *table = in->gnu_hash;
    uint32_t buckets = table[0], first = table[1], words = table[2];
    const uint32_t *bucket = table + 4 + 2 * (size_t)words;
    const uint32_t *chain = bucket + buckets;
    uint32_t index = buckets ? bucket[hash % buckets] : 0;
    if (index < first)
        return 0;
    for (;; index++) {
        if ((chain[index - first] | 1) == (hash | 1) && is_wanted(in, index, name))
            return index;
        if (chain[index - first] & 1)
            return 0;
    }
}

static uint32_t find_sysv(const struct names *in, const char *name)
{
    uint32_t hash = 0;
    for (const char *at = name; *at; at++) {
        hash = (hash << 4) + (uint8_t)*at;
        hash ^= (hash >> 24) & 0xf0;
        hash &= 0x0fffffff;
    }
    uint32_t buckets = in->hash[0];
    const uint32_t *chain = in->hash + 2 + buckets;
    uint32_t index = buckets ? in->hash[2 + hash % buckets] : 0;
    while (index && !is_wanted(in, index, name))
        index = chain[index];
    return index;
}

static int look_into(struct object *object, size_t size, void *data)
{
    struct search *search = data;
    (void)size;
    if (object->base == (uintptr_t)__ehdr_start) {
        search->behind_us = 1;
        return 0;
    }
    if (!search->behind_us)
        return 0;
    for (int i = 0; i < object->count; i++) {
        if (object->headers[i].type != PT_DYNAMIC)
            continue;
        struct names in = names_of(object, (void *)(object->base + object->headers[i].address));
        if (!in.symbols || !in.strings)
            continue;
        uint32_t index = in.gnu_hash ? find_gnu(&in, search->name)
            : in.hash                ? find_sysv(&in, search->name)
                                     : 0;
        if (index) {
            search->found = (void *)(object->base + in.symbols[index].value);
            return 1;
        }
    }
    return 0;
}

/* The function that a program would have called without us; NULL if there is none. */
static void *behind(void **known, const char *name)
{
    void *found = __atomic_load_n(known, __ATOMIC_RELAXED);
    if (!found && dl_iterate_phdr) {
        struct search search = {name, 0, NULL};
        dl_iterate_phdr(look_into, &search);
        found = search.found;
        __atomic_store_n(known, found, __ATOMIC_RELAXED);
    }
    return found;
}

#define BEHIND(name)                                     \
    ({                                                   \
        static void *known;                              \
        (__typeof__(&name))behind(&known, #name);        \
    })

/* ---- What is asked for ------------------------------------------------------------------ */

static int asked;           /* whether the variables were read */
static int fixed;           /* whether the wall clock is pinned */
static int reversed;        /* whether folders are read backwards */
static int64_t offset_s;    /* added to the wall clock */
static int64_t fixed_s;     /* where a pinned clock starts */
static int64_t elapsed_ns;  /* how far it has come */
static int64_t monotonic_ns; /* the monotonic clock as the program last saw it, where pinned */

static const char *value_of(const char *variable, const char *name)
{
    while (*name && *variable == *name)
        variable++, name++;
    return !*name && *variable == '=' ? variable + 1 : NULL;
}

/* Whether the text is a whole number; one that no clock can show is none. */
static int parse(const char *text, int64_t *number)
{
    int64_t value = 0;
    int negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    if (!*text)
        return 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || value > 100000000000)
            return 0;
        value = value * 10 + (*text - '0');
    }
    *number = negative ? -value : value;
    return 1;
}

static void heed(const char *variable)
{
    const char *value;
    if ((value = value_of(variable, "MLCONTAINER_CLOCK_OFFSET_S")))
        parse(value, &offset_s);
    else if ((value = value_of(variable, "MLCONTAINER_CLOCK_FIXED_S")))
        fixed = parse(value, &fixed_s);
    else if ((value = value_of(variable, "MLCONTAINER_FILE_ORDER")))
        reversed = same(value, "reverse");
}

/* The variables that the process was started with, from the kernel; 0 where it does not tell. */
static int heed_kernel(void)
{
    enum { SIZE = 4 << 20 };
    long fd = call(SYS_OPENAT, AT_FDCWD, (long)"/proc/self/environ", O_CLOEXEC, 0, 0, 0);
    if (failed(fd))
        return 0;
    char *text = pages(SIZE);
    long size = 0, got = 0;
    while (text && size < SIZE - 1) {
        got = call(SYS_READ, fd, (long)(text + size), SIZE - 1 - size, 0, 0, 0);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            break;
        size += got;
    }
    call(SYS_CLOSE, fd, 0, 0, 0, 0, 0);
    for (long at = 0; at < size; at++) {
        heed(text + at);
        while (text[at])
            at++;
    }
    no_pages(text, SIZE);
    return text && got >= 0;
}

/* Reads the variables once, as early as it can, so that a program that empties its environment
 * keeps its clock. Threads that come here together do the same twice. */
__attribute__((constructor)) static void ask(void)
{
    if (__atomic_load_n(&asked, __ATOMIC_ACQUIRE))
        return;
    if (&environ && environ) {
        for (char **at = environ; *at; at++)
            heed(*at);
    } else if (!heed_kernel()) {
        return; /* libc has not been set up yet */
    }
    __atomic_store_n(&asked, 1, __ATOMIC_RELEASE);
}

/* ---- The clock -------------------------------------------------------------------------- */

#define SECOND 1000000000

EXPORT int clock_gettime(int clock, struct timespec *now);

static int is_wall(int clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

static int kernel_time(int clock, struct timespec *now)
{
    __typeof__(&clock_gettime) libc = BEHIND(clock_gettime);
    return libc ? libc(clock, now) : (int)told(call(SYS_CLOCK_GETTIME, clock, (long)now, 0, 0, 0, 0));
}

static int64_t ns_of(const struct timespec *time) { return time->tv_sec * SECOND + time->tv_nsec; }

static int64_t monotonic(void)
{
    struct timespec now = {0};
    kernel_time(CLOCK_MONOTONIC, &now);
    return ns_of(&now);
}

/* The pinned clock, `ns` after its start. */
static struct timespec pinned(int64_t ns)
{
    return (struct timespec){fixed_s + offset_s + ns / SECOND, ns % SECOND};
}

static void advance(int64_t ns)
{
    if (fixed && ns > 0)
        __atomic_fetch_add(&elapsed_ns, ns, __ATOMIC_RELAXED);
}

/* The program's wall clock. */
static int wall_time(int clock, struct timespec *now)
{
    if (fixed) {
        *now = pinned(__atomic_fetch_add(&elapsed_ns, 1000, __ATOMIC_RELAXED));
        return 0;
    }
    int result = kernel_time(clock, now);
    if (result == 0)
        now->tv_sec += offset_s;
    return result;
}

EXPORT int clock_gettime(int clock, struct timespec *now)
{
    ask();
    if (is_wall(clock))
        return wall_time(clock, now);
    int result = kernel_time(clock, now);
    if (fixed && clock == CLOCK_MONOTONIC && result == 0)
        __atomic_store_n(&monotonic_ns, ns_of(now), __ATOMIC_RELAXED);
    return result;
}

EXPORT int64_t time(int64_t *seconds)
{
    struct timespec now = {0};
    ask();
    wall_time(CLOCK_REALTIME_COARSE, &now); /* as libc's: never ahead of the times of files */
    if (seconds)
        *seconds = now.tv_sec;
    return now.tv_sec;
}

EXPORT int gettimeofday(struct timeval *time, void *zone)
{
    struct timespec now = {0};
    ask();
    if (time) {
        wall_time(CLOCK_REALTIME, &now);
        *time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    }
    if (zone)
        *(int64_t *)zone = 0; /* minutes west and daylight saving: two ints */
    return 0;
}

EXPORT int timespec_get(struct timespec *now, int base)
{
    ask();
    if (base == TIME_UTC)
        return wall_time(CLOCK_REALTIME, now) == 0 ? base : 0;
    __typeof__(&timespec_get) libc = BEHIND(timespec_get);
    return libc ? libc(now, base) : 0;
}

/* ---- Waiting ---------------------------------------------------------------------------- */

static int64_t distance(int64_t a, int64_t b)
{
    int64_t apart;
    if (__builtin_sub_overflow(a, b, &apart))
        return INT64_MAX;
    return apart < 0 ? -apart : apart;
}

/* A deadline on the program's wall clock, on the kernel's. Whether it is one on the wall clock and
 * not on the monotonic one (a condition variable can have either, and each libc notes elsewhere
 * which), shows in which of the two it is nearer to. */
static const struct timespec *on_kernel_clock(const struct timespec *until, struct timespec *made)
{
    ask();
    if ((!fixed && !offset_s) || !until || until->tv_nsec < 0 || until->tv_nsec >= SECOND)
        return until;
    struct timespec kernel = {0}, now;
    kernel_time(CLOCK_REALTIME, &kernel);
    if (fixed)
        now = pinned(__atomic_load_n(&elapsed_ns, __ATOMIC_RELAXED));
    else
        now = (struct timespec){kernel.tv_sec + offset_s, kernel.tv_nsec};
    int64_t since_start = monotonic() / SECOND;
    if (distance(until->tv_sec, since_start) < distance(until->tv_sec, now.tv_sec))
        return until;
    int64_t seconds;
    if (__builtin_sub_overflow(until->tv_sec, now.tv_sec, &seconds)
        || __builtin_add_overflow(seconds, kernel.tv_sec, &seconds))
        return until;
    int64_t ns = until->tv_nsec - now.tv_nsec + kernel.tv_nsec;
    for (; ns < 0; ns += SECOND)
        seconds--;
    for (; ns >= SECOND; ns -= SECOND)
        seconds++;
    *made = seconds < 0 ? (struct timespec){0, 0} : (struct timespec){seconds, ns};
    return made;
}

/* Whoever has waited for a moment sees a clock that has reached it. */
static void reach(const struct timespec *until)
{
    int64_t seconds = until->tv_sec - fixed_s - offset_s;
    if (!fixed || seconds < 0 || seconds > INT64_MAX / SECOND - 1)
        return;
    int64_t wanted = seconds * SECOND + until->tv_nsec;
    int64_t known = __atomic_load_n(&elapsed_ns, __ATOMIC_RELAXED);
    while (known < wanted
           && !__atomic_compare_exchange_n(
               &elapsed_ns, &known, wanted, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

EXPORT int pthread_cond_timedwait(void *condition, void *mutex, const struct timespec *until)
{
    struct timespec made;
    __typeof__(&pthread_cond_timedwait) libc = BEHIND(pthread_cond_timedwait);
    if (!libc)
        return ENOSYS;
    const struct timespec *used = on_kernel_clock(until, &made);
    int result = libc(condition, mutex, used);
    if (result == ETIMEDOUT && used != until)
        reach(until);
    return result;
}

#define WAITS_FOR(name)                                       \
    EXPORT int name(void *what, const struct timespec *until) \
    {                                                         \
        struct timespec made;                                 \
        __typeof__(&name) libc = BEHIND(name);                \
        if (!libc)                                            \
            return ENOSYS;                                    \
        const struct timespec *used = on_kernel_clock(until, &made); \
        int result = libc(what, used);                        \
        if (result == ETIMEDOUT && used != until)             \
            reach(until);                                     \
        return result;                                        \
    }

WAITS_FOR(pthread_mutex_timedlock)
WAITS_FOR(pthread_rwlock_timedrdlock)
WAITS_FOR(pthread_rwlock_timedwrlock)

EXPORT int sem_timedwait(void *semaphore, const struct timespec *until)
{
    struct timespec made;
    __typeof__(&sem_timedwait) libc = BEHIND(sem_timedwait);
    if (!libc)
        return (int)told(-ENOSYS);
    const struct timespec *used = on_kernel_clock(until, &made);
    int result = libc(semaphore, used);
    if (result != 0 && used != until && __errno_location && *__errno_location() == ETIMEDOUT)
        reach(until);
    return result;
}

/* What is slept has passed on a pinned clock, so that a loop that sleeps until a time of day ends.
 * It is what was asked for, not what it took: that is the same in every run. */
EXPORT int clock_nanosleep(int clock, int flags, const struct timespec *wanted, struct timespec *left)
{
    struct timespec made;
    ask();
    __typeof__(&clock_nanosleep) libc = BEHIND(clock_nanosleep);
    if (!libc)
        return ENOSYS;
    if (!(flags & TIMER_ABSTIME)) {
        struct timespec asked_for = *wanted;
        int result = libc(clock, flags, wanted, left);
        if (result == 0)
            advance(ns_of(&asked_for));
        return result;
    }
    if (is_wall(clock)) {
        int result = libc(clock, flags, on_kernel_clock(wanted, &made), left);
        if (result == 0)
            reach(wanted);
        return result;
    }
    int64_t seen = __atomic_load_n(&monotonic_ns, __ATOMIC_RELAXED);
    int64_t ns = fixed ? ns_of(wanted) - (seen ? seen : monotonic()) : 0;
    int result = libc(clock, flags, wanted, left);
    if (result == 0 && clock == CLOCK_MONOTONIC)
        advance(ns);
    return result;
}

EXPORT int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    ask();
    __typeof__(&nanosleep) libc = BEHIND(nanosleep);
    if (!libc)
        return (int)told(-ENOSYS);
    struct timespec asked_for = fixed ? *wanted : (struct timespec){0, 0};
    int result = libc(wanted, left);
    if (result == 0)
        advance(ns_of(&asked_for));
    return result;
}

EXPORT int usleep(uint32_t wanted_us)
{
    ask();
    __typeof__(&usleep) libc = BEHIND(usleep);
    if (!libc)
        return (int)told(-ENOSYS);
    int result = libc(wanted_us);
    if (result == 0)
        advance((int64_t)wanted_us * 1000);
    return result;
}

EXPORT uint32_t sleep(uint32_t wanted_s)
{
    ask();
    __typeof__(&sleep) libc = BEHIND(sleep);
    if (!libc)
        return wanted_s;
    uint32_t left = libc(wanted_s);
    advance((int64_t)(wanted_s - left) * SECOND);
    return left;
}

EXPORT int select(int count, void *readable, void *writable, void *other, struct timeval *limit)
{
    ask();
    __typeof__(&select) libc = BEHIND(select);
    if (!libc)
        return (int)told(-ENOSYS);
    int64_t ns = fixed && limit ? limit->tv_sec * SECOND + limit->tv_usec * 1000 : 0;
    int result = libc(count, readable, writable, other, limit);
    if (result == 0)
        advance(ns);
    return result;
}

EXPORT int poll(void *files, unsigned long count, int limit_ms)
{
    ask();
    __typeof__(&poll) libc = BEHIND(poll);
    if (!libc)
        return (int)told(-ENOSYS);
    int result = libc(files, count, limit_ms);
    if (result == 0)
        advance((int64_t)limit_ms * 1000000);
    return result;
}

EXPORT int epoll_wait(int epoll, void *events, int count, int limit_ms)
{
    ask();
    __typeof__(&epoll_wait) libc = BEHIND(epoll_wait);
    if (!libc)
        return (int)told(-ENOSYS);
    int result = libc(epoll, events, count, limit_ms);
    if (result == 0)
        advance((int64_t)limit_ms * 1000000);
    return result;
}

/* ---- The order of files ----------------------------------------------------------------- */

/* An open folder, where they are reversed. It is read whole before the first name is given:
 * a position in it is a place in `entries`. */
typedef struct {
    int fd;
    int lock;
    int loaded;
    size_t at, size, room;
    char *entries;
} DIR;

enum { FIRST_ROOM = 32 << 10, DIR_SIZE = 4096 };

static void lock(DIR *folder)
{
    while (__atomic_exchange_n(&folder->lock, 1, __ATOMIC_ACQUIRE))
        call(SYS_SCHED_YIELD, 0, 0, 0, 0, 0, 0);
}

static void unlock(DIR *folder) { __atomic_store_n(&folder->lock, 0, __ATOMIC_RELEASE); }

static DIR *folder_of(int fd)
{
    DIR *folder = pages(DIR_SIZE);
    if (!folder) {
        set_errno(ENOMEM);
        return NULL;
    }
    folder->fd = fd;
    return folder;
}

static void forget(DIR *folder)
{
    no_pages(folder->entries, folder->room);
    folder->entries = NULL;
    folder->room = folder->size = folder->at = 0;
    folder->loaded = 0;
}

/* All entries as the kernel orders them, with room for one whole `struct dirent` behind the last:
 * programs copy entries as such. Gives an error's number, or 0. */
static int read_all(int fd, char **entries, size_t *size, size_t *room)
{
    *size = 0;
    *room = FIRST_ROOM;
    if (!(*entries = pages(*room)))
        return ENOMEM;
    for (;;) {
        if (*room - *size < FIRST_ROOM / 2) {
            char *grown = more_pages(*entries, *room, *room * 2);
            if (!grown)
                return ENOMEM;
            *entries = grown;
            *room *= 2;
        }
        size_t free = *room - *size - sizeof(struct dirent);
        long got = call(SYS_GETDENTS64, fd, (long)(*entries + *size), (long)free, 0, 0, 0);
        if (got == 0 || got == -ENOENT) /* a folder that was removed has no more entries */
            return 0;
        if (failed(got))
            return (int)-got;
        *size += (size_t)got;
    }
}

static int is_dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Reversed, but `.` and `..` stay in front: there are programs that skip the first two. */
static void turn(const char *from, char *to, size_t size)
{
    size_t front = 0, back = size;
    for (size_t at = 0; at < size;) {
        const struct dirent *entry = (const void *)(from + at);
        size_t length = entry->d_reclen;
        size_t place = is_dots(entry->d_name) ? front : back - length;
        copy(to + place, entry, length);
        ((struct dirent *)(to + place))->d_off = (int64_t)(place + length);
        if (is_dots(entry->d_name))
            front += length;
        else
            back -= length;
        at += length;
    }
}

static int load(DIR *folder)
{
    char *entries = NULL;
    size_t size, room;
    int error = read_all(folder->fd, &entries, &size, &room);
    if (!error && !(folder->entries = pages(room)))
        error = ENOMEM;
    if (!error) {
        turn(entries, folder->entries, size);
        folder->size = size;
        folder->room = room;
        folder->loaded = 1;
    }
    no_pages(entries, room);
    return error;
}

/* The next entry; NULL at the end and after an error, whose number is given. */
static struct dirent *next(DIR *folder, int *error)
{
    *error = folder->loaded ? 0 : load(folder);
    if (*error || folder->at >= folder->size)
        return NULL;
    struct dirent *entry = (void *)(folder->entries + folder->at);
    folder->at += entry->d_reclen;
    return entry;
}

EXPORT DIR *opendir(const char *path)
{
    ask();
    if (!reversed) {
        __typeof__(&opendir) libc = BEHIND(opendir);
        return libc ? libc(path) : (set_errno(ENOSYS), NULL);
    }
    long flags = O_NONBLOCK | O_DIRECTORY | O_CLOEXEC;
    long fd = told(call(SYS_OPENAT, AT_FDCWD, (long)path, flags, 0, 0, 0));
    if (fd < 0)
        return NULL;
    DIR *folder = folder_of((int)fd);
    if (!folder)
        call(SYS_CLOSE, fd, 0, 0, 0, 0, 0);
    return folder;
}

EXPORT DIR *fdopendir(int fd)
{
    ask();
    if (!reversed) {
        __typeof__(&fdopendir) libc = BEHIND(fdopendir);
        return libc ? libc(fd) : (set_errno(ENOSYS), NULL);
    }
    char stat[256];
    long flags = call(SYS_FCNTL, fd, F_GETFL, 0, 0, 0, 0);
    long result = failed(flags) ? flags : call(SYS_FSTAT, fd, (long)stat, 0, 0, 0, 0);
    if (!failed(result) && (*(uint32_t *)(stat + STAT_MODE_AT) & S_IFMT) != S_IFDIR)
        result = -ENOTDIR;
    else if (!failed(result) && flags & O_PATH)
        result = -EBADF;
    else if (!failed(result) && (flags & O_ACCMODE) == O_WRONLY)
        result = -EINVAL;
    return told(result) < 0 ? NULL : folder_of(fd);
}

EXPORT int closedir(DIR *folder)
{
    ask();
    if (!reversed) {
        __typeof__(&closedir) libc = BEHIND(closedir);
        return libc ? libc(folder) : (int)told(-ENOSYS);
    }
    if (!folder)
        return (int)told(-EINVAL);
    int fd = folder->fd;
    forget(folder);
    no_pages(folder, DIR_SIZE);
    return (int)told(call(SYS_CLOSE, fd, 0, 0, 0, 0, 0));
}

static struct dirent *read_next(DIR *folder)
{
    int error;
    lock(folder);
    struct dirent *entry = next(folder, &error);
    unlock(folder);
    if (error)
        set_errno(error);
    return entry;
}

static int read_next_into(DIR *folder, struct dirent *entry, struct dirent **result)
{
    int error;
    lock(folder);
    const struct dirent *found = next(folder, &error);
    if (found && found->d_reclen > sizeof *entry + 8)
        error = ENAMETOOLONG;
    *result = found && !error ? entry : NULL;
    if (*result)
        copy(entry, found, found->d_reclen < sizeof *entry ? found->d_reclen : sizeof *entry);
    unlock(folder);
    return error;
}

EXPORT struct dirent *readdir(DIR *folder)
{
    ask();
    if (reversed)
        return read_next(folder);
    __typeof__(&readdir) libc = BEHIND(readdir);
    return libc ? libc(folder) : (set_errno(ENOSYS), NULL);
}

/* The same on 64-bit systems, and since musl 1.2.4 without a symbol of its own there. */
EXPORT struct dirent *readdir64(DIR *folder)
{
    ask();
    if (reversed)
        return read_next(folder);
    __typeof__(&readdir64) libc = BEHIND(readdir64);
    return libc ? libc(folder) : readdir(folder);
}

EXPORT int readdir_r(DIR *folder, struct dirent *entry, struct dirent **result)
{
    ask();
    if (reversed)
        return read_next_into(folder, entry, result);
    __typeof__(&readdir_r) libc = BEHIND(readdir_r);
    return libc ? libc(folder, entry, result) : ENOSYS;
}

EXPORT int readdir64_r(DIR *folder, struct dirent *entry, struct dirent **result)
{
    ask();
    if (reversed)
        return read_next_into(folder, entry, result);
    __typeof__(&readdir64_r) libc = BEHIND(readdir64_r);
    return libc ? libc(folder, entry, result) : readdir_r(folder, entry, result);
}

EXPORT void rewinddir(DIR *folder)
{
    ask();
    if (!reversed) {
        __typeof__(&rewinddir) libc = BEHIND(rewinddir);
        if (libc)
            libc(folder);
        return;
    }
    lock(folder);
    forget(folder);
    call(SYS_LSEEK, folder->fd, 0, 0, 0, 0, 0);
    unlock(folder);
}

EXPORT long telldir(DIR *folder)
{
    ask();
    if (!reversed) {
        __typeof__(&telldir) libc = BEHIND(telldir);
        return libc ? libc(folder) : told(-ENOSYS);
    }
    return (long)folder->at;
}

EXPORT void seekdir(DIR *folder, long place)
{
    ask();
    if (!reversed) {
        __typeof__(&seekdir) libc = BEHIND(seekdir);
        if (libc)
            libc(folder, place);
        return;
    }
    folder->at = (size_t)place;
}

EXPORT int dirfd(DIR *folder)
{
    ask();
    if (!reversed) {
        __typeof__(&dirfd) libc = BEHIND(dirfd);
        return libc ? libc(folder) : (int)told(-ENOSYS);
    }
    return folder->fd;
}
