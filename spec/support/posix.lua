-- The few system calls that specs need besides halo's own, through FFI. They are for preparing and
-- checking, never for what a spec is about.

local ffi = require "ffi"

ffi.cdef [[
int mkfifo(const char *path, unsigned mode);
int mknod(const char *path, unsigned mode, unsigned long device);
int symlink(const char *target, const char *path);
int link(const char *from, const char *to);
ssize_t readlink(const char *path, char *text, size_t size);
unsigned umask(unsigned mask);
char *mkdtemp(char *template);
char *getcwd(char *path, size_t size);
int chdir(const char *path);
int pipe2(int ends[2], int flags);
int faccessat(int directory, const char *path, int mode, int flags);
int close(int fd);
int kill(int pid, int signal);
int fcntl(int fd, int command, ...);
int timerfd_create(int clock, int flags);
struct spec_timer { long every_s, every_ns, first_s, first_ns; };
int timerfd_settime(int fd, int flags, const struct spec_timer *time, struct spec_timer *before);
ssize_t read(int fd, void *data, size_t size);
ssize_t write(int fd, const void *data, size_t size);
struct pollfd { int fd; short events, revents; };
int poll(struct pollfd *polled, unsigned long count, int timeout_ms);
]]

local C = ffi.C

local posix = {
  POLLIN = 1,
  POLLOUT = 4,
  S_IFSOCK = 0xc000,
}

local function check(result, what)
  if result < 0 then
    error(("%s failed: errno %d"):format(what, ffi.errno()), 3)
  end
  return result
end

local kill = C.kill

---Kills a process, where it is there. It needs no memory.
function posix.kill(pid)
  kill(pid, 9)
end

---The working directory.
function posix.getcwd()
  local path = ffi.new "char[4096]"
  assert(C.getcwd(path, 4096) ~= nil, "getcwd failed")
  return ffi.string(path)
end

---Changes it, whatever halo has in flight.
function posix.chdir(path)
  check(C.chdir(path), "chdir")
end

function posix.mkfifo(path)
  check(C.mkfifo(path, 0x180), "mkfifo")
end

function posix.mksocket(path)
  check(C.mknod(path, posix.S_IFSOCK + 0x180, 0), "mknod")
end

function posix.symlink(target, path)
  check(C.symlink(target, path), "symlink")
end

function posix.link(from, to)
  check(C.link(from, to), "link")
end

---What a symbolic link says.
function posix.readlink(path)
  local text = ffi.new "char[4096]"
  local length = check(tonumber(C.readlink(path, text, 4096)), "readlink")
  return ffi.string(text, length)
end

---Sets the process's umask and returns the one before.
function posix.umask(mask)
  return C.umask(mask)
end

---A new directory below $TMPDIR or /tmp.
function posix.mkdtemp()
  local template = (os.getenv("TMPDIR") or "/tmp") .. "/halo-spec-XXXXXX"
  local name = ffi.new("char[?]", #template + 1, template)
  if C.mkdtemp(name) == nil then
    error(("mkdtemp failed for %s: errno %d"):format(template, ffi.errno()), 2)
  end
  return ffi.string(name)
end

---Whether anything has that name, be it a symbolic link that leads nowhere.
function posix.exists(path)
  return C.faccessat(-100, path, 0, 0x100) == 0 -- AT_FDCWD, F_OK, AT_SYMLINK_NOFOLLOW
end

---The reading and the writing end of a pipe.
function posix.pipe()
  local ends = ffi.new("int[2]")
  check(C.pipe2(ends, 0x80000), "pipe2") -- O_CLOEXEC
  return ends[0], ends[1]
end

function posix.write(fd, data)
  return check(C.write(fd, data, #data), "write")
end

function posix.close(fd)
  check(C.close(fd), "close")
end

function posix.is_open(fd)
  return C.fcntl(fd, 1) >= 0 -- F_GETFD
end

---How many descriptors this process has.
function posix.count_descriptors()
  local count = 0
  for fd = 0, 1023 do
    count = count + (posix.is_open(fd) and 1 or 0)
  end
  return count
end

---A descriptor that becomes readable after this time.
function posix.timer(ms)
  local fd = check(C.timerfd_create(1, 0x80000), "timerfd_create") -- CLOCK_MONOTONIC, CLOEXEC
  local time = ffi.new("struct spec_timer", { first_ns = ms * 1000000 })
  check(C.timerfd_settime(fd, 0, time, nil), "timerfd_settime")
  return fd
end

---True where the descriptor is readable, or becomes so within the time.
function posix.is_readable(fd, timeout_ms)
  local polled = ffi.new("struct pollfd", { fd = fd, events = posix.POLLIN })
  return check(C.poll(polled, 1, timeout_ms), "poll") > 0
end

---Waits, and all tasks with it.
function posix.wait(time_ms)
  C.poll(nil, 0, time_ms)
end

return posix
