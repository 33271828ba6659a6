-- What the core refuses, and what it says then: handles that are closed, bases that an operation
-- does not have, limits out of range.

local core = require "spec.support.core"
local ffi = require "ffi"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"

local lib = core.lib

local dir = temp.dir()

local EPERM, EBADF, ENOMEM, EACCES, EINVAL, ENFILE, EMFILE, ESPIPE, ENOSYS, EIO =
  1, 9, 12, 13, 22, 23, 24, 29, 38, 5

core.describe("A handle that is closed", function(_, new_loop)
  local loop, closed

  before_each(function()
    loop = new_loop()
    closed = core.open(loop, "/dev/null")
    assert.equal(0, core.result(loop, core.file_op(loop, lib.HALO_OP_CLOSE, closed)))
  end)

  it("is EBADF for whatever asks for it", function()
    local info = ffi.new "struct halo_file_info"
    assert.equal(-EBADF, lib.halo_file_info(loop, closed, info))
    assert.equal(-EBADF, lib.halo_file_fd(loop, closed))
    assert.equal(-EBADF, lib.halo_file_seek(loop, closed, 0))
    assert.equal(-EBADF, lib.halo_file_confine(loop, closed, core.HALO_CONFINE_BENEATH))
    for _, code in ipairs { lib.HALO_OP_CLOSE, lib.HALO_OP_FSTAT, lib.HALO_OP_KEEP } do
      assert.equal(-EBADF, core.result(loop, core.file_op(loop, code, closed)))
    end
  end)

  it("is nothing to be dropped", function()
    local before = core.stats(loop).files_open
    lib.halo_file_drop(loop, closed)
    assert.equal(before, core.stats(loop).files_open)
  end)

  it("is no base", function()
    local op = core.op(loop, lib.HALO_OP_STAT, "null")
    op.base = closed
    assert.equal(-EBADF, core.result(loop, op))

    local root = core.open(loop, "/")
    op = core.op(loop, lib.HALO_OP_RENAME, "halo-a", "halo-b")
    op.base, op.base2 = root, closed
    assert.equal(-EBADF, core.result(loop, op))
  end)

  it("lets a name stay that a close was to remove from there", function()
    local file = core.open(loop, dir:file("stays", ""))
    local op = core.op(loop, lib.HALO_OP_CLOSE, "stays")
    op.file, op.base = file, closed
    assert.equal(0, core.result(loop, op))
    assert.equal("", dir:read "stays")
  end)
end)

core.describe("An operation", function(_, new_loop)
  it("of one path has no second base", function()
    local loop = new_loop()
    local op = core.op(loop, lib.HALO_OP_STAT, "null")
    op.base2 = core.open(loop, "/dev")
    assert.equal(-EINVAL, core.result(loop, op))
    op = core.op(loop, lib.HALO_OP_SYNC) -- nor has one of none
    op.base2 = core.open(loop, "/dev")
    assert.equal(-EINVAL, core.result(loop, op))
  end)

  it("keeps its paths while its memory grows", function()
    local loop = new_loop()
    local op = core.op(loop, lib.HALO_OP_RENAME, dir:file("old", "content"), dir:path "new")
    assert(lib.halo_op_storage(op, 1000000) ~= nil)
    assert(lib.halo_op_storage(op, 100) == op.storage)
    assert.equal(0, core.result(loop, op))
    assert.equal("content", dir:read "new")
  end)
end)

core.describe("A stream", function(_, new_loop)
  it("has no position to be moved", function()
    local loop = new_loop()
    local reader, writer = posix.pipe()
    local handle = ffi.new "uint64_t[1]"
    assert.equal(0, lib.halo_file_adopt(loop, reader, false, handle))
    assert.equal(-ESPIPE, lib.halo_file_seek(loop, handle[0], 0))
    posix.close(writer)
  end)
end)

describe("The core, asked for a loop,", function()
  it("takes no configuration for the default one", function()
    local out = ffi.new "struct halo_loop *[1]"
    assert.equal(0, lib.halo_loop_create(out, nil))
    assert.matches("^%l+$", ffi.string(lib.halo_loop_engine(out[0])))
    assert.equal(0, lib.halo_loop_close(out[0], 2 ^ 53)) -- more than a deadline may be
  end)

  it("refuses limits out of range", function()
    for _, limits in ipairs {
      { max_files = 2 ^ 32 - 1 }, { max_in_flight = core.HALO_MAX_IN_FLIGHT_LIMIT + 1 },
    } do
      assert.same({ nil, -EINVAL }, { core.create("auto", limits) })
    end
  end)

  it("explains each refusal by its likely cause", function()
    local text = ffi.new "char[256]"
    local config = ffi.new "struct halo_config"
    for code, words in pairs {
      [EPERM] = "EPERM: forbidden here", [EACCES] = "EACCES: forbidden here",
      [ENOSYS] = "ENOSYS: this kernel lacks it", [ENOMEM] = "ENOMEM: memory is out",
      [EMFILE] = "EMFILE: no descriptor is left", [ENFILE] = "ENFILE: no descriptor is left",
      [EINVAL] = "EINVAL: a limit is out of range", [EIO] = "EIO: the kernel gives no further",
    } do
      config.engine = lib.HALO_ENGINE_RING
      lib.halo_loop_explain(-code, config, text, 256)
      assert.equal("io_uring: " .. words, ffi.string(text):sub(1, 10 + #words))
      config.engine = lib.HALO_ENGINE_AUTO
      lib.halo_loop_explain(code, config, text, 256)
      assert.equal("cannot start: " .. words, ffi.string(text):sub(1, 14 + #words))
    end
  end)

  it("knows errors by their names, and says so of the others", function()
    for code, name in pairs { [2] = "ENOENT", [-2] = "ENOENT", [41] = "UNKNOWN",
      [0] = "UNKNOWN", [4000] = "UNKNOWN", [-512] = "UNKNOWN" } do
      assert.equal(name, ffi.string(lib.halo_error_name(code)))
    end
  end)
end)
