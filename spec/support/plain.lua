-- The system's own calls on files, through FFI, for comparison with halo's. What a call returns
-- reads as halo's do: values, or nil and the code.

local ffi = require "ffi"

ffi.cdef [[
int open(const char *path, int flags, ...);
int close(int fd);
ssize_t read(int fd, void *data, size_t size);
ssize_t write(int fd, const void *data, size_t size);
ssize_t pread(int fd, void *data, size_t size, int64_t offset);
ssize_t pwrite(int fd, const void *data, size_t size, int64_t offset);
int ftruncate(int fd, int64_t size);
int truncate(const char *path, int64_t size);
int mkdir(const char *path, unsigned mode);
int rmdir(const char *path);
int unlink(const char *path);
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int link(const char *path, const char *new_path);
int symlink(const char *target, const char *path);
ssize_t readlink(const char *path, char *target, size_t size);
char *realpath(const char *path, char *resolved);
int chmod(const char *path, unsigned mode);
int faccessat(int directory, const char *path, int mode, int flags);
struct spec_statx {
  uint32_t mask, blksize; uint64_t attributes; uint32_t nlink, uid, gid; uint16_t mode, spare;
  uint64_t ino, size, blocks, attributes_mask; uint64_t rest[26];
};
int statx(int directory, const char *path, int flags, unsigned mask, struct spec_statx *status);
struct spec_dirent {
  uint64_t ino; int64_t offset; uint16_t length; uint8_t type; char name[256];
};
void *opendir(const char *path);
struct spec_dirent *readdir(void *directory);
int closedir(void *directory);
]]

local C = ffi.C

local AT_FDCWD, NOFOLLOW, EMPTY_PATH, BASIC_STATS = -100, 0x100, 0x1000, 0x7ff
local PATH_MAX = 4096
local O_CLOEXEC = 0x80000

-- The numbers are those of Linux on every architecture that LuaJIT runs on.
local names = {
  [1] = "EPERM", [2] = "ENOENT", [5] = "EIO", [9] = "EBADF", [13] = "EACCES", [16] = "EBUSY",
  [17] = "EEXIST", [18] = "EXDEV", [20] = "ENOTDIR", [21] = "EISDIR", [22] = "EINVAL",
  [26] = "ETXTBSY", [27] = "EFBIG", [28] = "ENOSPC", [30] = "EROFS", [31] = "EMLINK",
  [36] = "ENAMETOOLONG", [39] = "ENOTEMPTY", [40] = "ELOOP", [95] = "EOPNOTSUPP",
}

local plain = {}

local function fail()
  local number = ffi.errno()
  return nil, names[number] or "errno " .. number
end

local function checked(result)
  if result < 0 then
    return fail()
  end
  return true
end

---@param path string
---@param flags integer
---@param mode integer
---@return integer? fd
---@return string? code
function plain.open(path, flags, mode)
  local fd = C.open(path, flags + O_CLOEXEC, ffi.cast("int", mode))
  if fd < 0 then
    return fail()
  end
  return fd
end

function plain.close(fd)
  return checked(C.close(fd))
end

---@param offset integer? without it at the descriptor's own
function plain.read(fd, size, offset)
  local data = ffi.new("uint8_t[?]", size + 1)
  local count = offset and C.pread(fd, data, size, offset) or C.read(fd, data, size)
  if count < 0 then
    return fail()
  end
  return ffi.string(data, count)
end

function plain.write(fd, data, offset)
  local count = offset and C.pwrite(fd, data, #data, offset) or C.write(fd, data, #data)
  if count < 0 then
    return fail()
  end
  return tonumber(count)
end

function plain.ftruncate(fd, size)
  return checked(C.ftruncate(fd, size))
end

function plain.truncate(path, size)
  return checked(C.truncate(path, size))
end

function plain.mkdir(path, mode)
  return checked(C.mkdir(path, mode))
end

function plain.rmdir(path)
  return checked(C.rmdir(path))
end

function plain.remove(path)
  return checked(C.unlink(path))
end

function plain.rename(from, to, flags)
  return checked(C.renameat2(AT_FDCWD, from, AT_FDCWD, to, flags))
end

function plain.link(path, new)
  return checked(C.link(path, new))
end

function plain.symlink(target, path)
  return checked(C.symlink(target, path))
end

function plain.readlink(path)
  local target = ffi.new("char[?]", PATH_MAX)
  local length = C.readlink(path, target, PATH_MAX)
  if length < 0 then
    return fail()
  end
  return ffi.string(target, length)
end

function plain.realpath(path)
  local resolved = ffi.new("char[?]", PATH_MAX)
  if C.realpath(path, resolved) == nil then
    return fail()
  end
  return ffi.string(resolved)
end

function plain.chmod(path, mode)
  return checked(C.chmod(path, mode))
end

function plain.access(path, mode)
  return checked(C.faccessat(AT_FDCWD, path, mode, 0))
end

local function stat(directory, path, flags)
  local status = ffi.new "struct spec_statx"
  if C.statx(directory, path, flags, BASIC_STATS, status) < 0 then
    return fail()
  end
  return { mode = status.mode, nlink = status.nlink, size = tonumber(status.size) }
end

---@return { mode: integer, nlink: integer, size: integer }?
---@return string? code
function plain.stat(path)
  return stat(AT_FDCWD, path, 0)
end

function plain.lstat(path)
  return stat(AT_FDCWD, path, NOFOLLOW)
end

function plain.fstat(fd)
  return stat(fd, "", EMPTY_PATH)
end

---The names in a directory.
---@return string[]?
---@return string? code
function plain.readdir(path)
  local directory = C.opendir(path)
  if directory == nil then
    return fail()
  end
  local found = {}
  while true do
    local entry = C.readdir(directory)
    if entry == nil then
      break
    end
    local name = ffi.string(entry.name)
    if name ~= "." and name ~= ".." then
      found[#found + 1] = name
    end
  end
  C.closedir(directory)
  return found
end

return plain
