/*
 * clock.c: the time of day of one process, moved by what a file says; loaded into it by LD_PRELOAD.
 *
 * MOVED_CLOCK_FILE names a file of 8 bytes: whole seconds, signed, in this machine's order. It is mapped, so what is written to it
 * holds at once. Only the time of day moves, as when somebody sets a host's clock; timers and sleeps go on as ever. libfaketime
 * cannot do it here: it calls what allocates, and jemalloc asks for the time while it is set up.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *moved;

static int64_t seconds(void) {
  if (moved == NULL) {
    const char *name = getenv("MOVED_CLOCK_FILE");
    int file = name == NULL ? -1 : open(name, O_RDONLY | O_CLOEXEC);
    void *map = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *moved, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) return 0;
    moved = map;
  }
  return *moved;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  long failed = syscall(SYS_clock_gettime, clock, now);
  if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += seconds();
  return (int)failed;
}

int gettimeofday(struct timeval *now, void *zone) {
  (void)zone;
  struct timespec precise;
  if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  struct timespec precise;
  if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
  if (now != NULL) *now = precise.tv_sec;
  return precise.tv_sec;
}
