/* The affinity calls are hidden behind this on glibc; it stays in this one file. */
#define _GNU_SOURCE
#include "base/pool.h"
#include "base/str.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Reads a small text file; false when it is absent. */
static bool read_text(const char *path, char *out, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    if (n < 0)
        return false;
    out[n] = 0;
    return true;
}

/* "200000 100000" allows two processors, "max 100000" and anything else any number (0). */
static int quota_of(const char *text) {
    size_t first = strcspn(text, " \n");
    if (text[first] != ' ')
        return 0;
    const char *second = text + first + 1;
    int64_t quota, period;
    if (!wf_parse_i64(text, first, &quota) || !wf_parse_i64(second, strcspn(second, " \n"), &period))
        return 0;
    if (quota <= 0 || period <= 0 || quota / period > 65536)
        return 0;
    return (int)((quota + period - 1) / period);
}

static int smaller_quota(int a, int b) { return a == 0 || (b != 0 && b < a) ? b : a; }

/* The smallest quota from the group of this process up to the root (cgroup 2). */
static int unified_quota(void) {
    char groups[4096], path[4352], text[128];
    if (!read_text("/proc/self/cgroup", groups, sizeof groups))
        return 0;
    char *group = strstr(groups, "0::/");
    if (!group)
        return 0;
    group += 3;
    group[strcspn(group, "\n")] = 0;
    int quota = 0;
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        if (read_text(path, text, sizeof text))
            quota = smaller_quota(quota, quota_of(text));
        char *slash = strrchr(group, '/');
        if (!slash)
            return quota;
        *slash = 0;
    }
}

/* cgroup 1, as containers mount it. */
static int legacy_quota(void) {
    char quota[64], period[64], both[160];
    if (!read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota) ||
        !read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period))
        return 0;
    quota[strcspn(quota, "\n")] = 0;
    snprintf(both, sizeof both, "%s %s", quota, period);
    return quota_of(both);
}

static int allowed_processors(void) {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
#endif
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int wf_cpu_count(void) {
    int count = smaller_quota(smaller_quota(allowed_processors(), unified_quota()), legacy_quota());
    return count < 1 ? 1 : count;
}
