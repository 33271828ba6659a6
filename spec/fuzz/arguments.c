/*
 * Random values for every public function and method: see arguments.lua. Each input has a state of
 * its own. HALO_ENGINE in the environment says which engine; what is left open afterwards, by
 * halo itself, is a failure.
 *
 * The calls may remove whatever they reach. So they are made in a thread that has a root, a user
 * and a umask of its own: an empty tmpfs, nobody and 022. All that belongs to a thread alone;
 * libFuzzer keeps its files. It takes a root user's rights to give up so much.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "script.h"

#define NOBODY    65534
#define FILE_MAX  (16u << 20) /* a file of any size could be read into memory */
#define DEPTH_MAX 100

static struct script script;
static sem_t wanted, done;
static const uint8_t *input;
static size_t input_size;
static const char *why_not;
static int last_fd = -1; /* of the file that keeps the latest input */

/* ---- the confined thread ------------------------------------------------------------------- */

/* The C library would change the user of all threads. */
static bool become(unsigned user)
{
    return syscall(SYS_setresuid, -1L, (long)user, -1L) == 0;
}

/* What halo asks it, it asks about itself; of other processes nothing is to be seen. */
static int mount_proc(void)
{
    unsigned long flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

    if (mount("proc", "/tmp/proc", "proc", flags, "hidepid=2,subset=pid") == 0)
        return 0;
    return mount("proc", "/tmp/proc", "proc", flags, "hidepid=2");
}

static const char *confine(void)
{
    if (unshare(CLONE_FS | CLONE_NEWNS) != 0)
        return "it takes the right to mount";
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("fuzz", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=8m,nr_inodes=4096") != 0)
        return "there is no tmpfs";
    if (mkdir("/tmp/proc", 0755) != 0 || mount_proc() != 0)
        return "there is no /proc";
    if (chroot("/tmp") != 0 || chdir("/") != 0)
        return "no other root";
    if (syscall(SYS_setgroups, 0L, NULL) != 0 ||
        syscall(SYS_setresgid, (long)NOBODY, (long)NOBODY, (long)NOBODY) != 0 ||
        syscall(SYS_setresuid, (long)NOBODY, (long)NOBODY, 0L) != 0)
        return "no other user";
    return NULL;
}

static void remove_inside(int dir_fd, unsigned depth)
{
    DIR *dir = fdopendir(dir_fd);
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        bool is_proc = depth == 0 && !strcmp(entry->d_name, "proc");
        if (is_proc || !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (unlinkat(dir_fd, entry->d_name, 0) == 0 || depth == DEPTH_MAX)
            continue;
        int inner = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner >= 0)
            remove_inside(inner, depth + 1);
        unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR);
    }
    if (dir)
        closedir(dir);
}

/* The root, as a root user, empty and of the mode and owner that it has at first. */
static void clean(void)
{
    if (!become(0))
        fuzz_fail("no way back to the root user");
    int root = chdir("/") == 0 ? open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (root < 0 || fchown(root, NOBODY, NOBODY) != 0 || fchmod(root, 0755) != 0)
        fuzz_fail("the root is gone: %s", strerror(errno));
    remove_inside(root, 0);
    umask(022);
    if (!become(NOBODY))
        fuzz_fail("no other user");
}

static void run_one(void)
{
    clean();
    lua_State *L = script_open(&script);
    script_run(L, input, input_size);
    script_close(L);
}

static void *serve(void *context)
{
    (void)context;
    why_not = confine();
    sem_post(&done);
    while (!why_not) {
        sem_wait(&wanted);
        run_one();
        sem_post(&done);
    }
    return NULL;
}

static void wait_until(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue;
}

/* ---- the fuzzer ---------------------------------------------------------------------------- */

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void prepare(void)
{
    struct rlimit size = {FILE_MAX, FILE_MAX};
    const char *last = getenv("FUZZ_LAST");
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    setrlimit(RLIMIT_FSIZE, &size);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    dup2(null_fd, STDIN_FILENO);
    close(null_fd);
    if (last)
        last_fd = open(last, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    pthread_t thread;

    (void)argc, (void)argv;
    prepare();
    script_read(&script, "spec/fuzz/arguments.lua");
    sem_init(&wanted, 0, 0);
    sem_init(&done, 0, 0);
    if (geteuid() != 0)
        why_not = "it takes root";
    else if (pthread_create(&thread, NULL, serve, NULL) != 0)
        why_not = "there is no thread";
    else
        wait_until(&done);
    if (!why_not)
        return 0;
    printf("skipped: %s\n", why_not);
    exit(0);
}

/* A thread that crashes cannot write where libFuzzer wants the input to be. */
static void keep_input(const uint8_t *data, size_t size)
{
    if (last_fd >= 0 && (pwrite(last_fd, data, size, 0) < 0 || ftruncate(last_fd, (off_t)size) < 0))
        fuzz_fail("the input cannot be kept: %s", strerror(errno));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    keep_input(data, size);
    unsigned before = count_descriptors();
    input = data;
    input_size = size;
    sem_post(&wanted);
    wait_until(&done);
    if (count_descriptors() != before)
        fuzz_fail("%u descriptors have become %u", before, count_descriptors());
    return 0;
}
