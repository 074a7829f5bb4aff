/* Stands before the C library's clock_gettime: adds to wall time and to boot time what a file says, so
 * that a test can step the clock, or let the machine sleep, for one process. The file, named by
 * CLOCK_SHIM, holds two 64-bit counts of nanoseconds: wall time's, then boot time's. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile const int64_t *steps;

__attribute__((constructor)) static void open_steps(void)
{
    const char *path = getenv("CLOCK_SHIM");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 2 * sizeof *steps, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        abort();
    close(fd);
    steps = map;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, id, now);
    if (failed || !steps || (id != CLOCK_REALTIME && id != CLOCK_BOOTTIME))
        return failed;
    int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + steps[id == CLOCK_BOOTTIME];
    now->tv_sec = ns / 1000000000;
    now->tv_nsec = ns % 1000000000;
    return 0;
}
