-- What build/faults/halo has for Lua (spec/faults/faults.h): something is armed, then a call is
-- made, and afterwards it is known what has failed, if anything.

local ffi = require "ffi"

ffi.cdef [[
void faults_arm(int kind, int op, long nth, long count, int error);
long faults_disarm(void);
long faults_hits(void);
const char *faults_where(void);
const char *faults_way(void);
int faults_op_count(void);
const char *faults_op_name(int op);
bool faults_op_is_on_file(int op);
bool faults_op_is_lengthy(int op);
]]

local C = ffi.C

local armed = { ANSWER = 1, CALL = 2, ALLOCATION = 3, LUA = 4, NEVER = 2 ^ 40, EVER = -1 }

---The faults by name: what is answered.
armed.errors = {
  EIO = 5, ENOSPC = 28, EDQUOT = 122, EINTR = 4, EAGAIN = 11, ENOMEM = 12, EMFILE = 24,
  EROFS = 30, ECANCELED = 125, ERESTARTSYS = 512, short = 100000,
}

---The operations of the core's table.
---@type table<string, { code: integer, on_file: boolean, lengthy: boolean }>
armed.ops = {}
for code = 0, C.faults_op_count() - 1 do
  armed.ops[ffi.string(C.faults_op_name(code))] = {
    code = code,
    on_file = C.faults_op_is_on_file(code),
    lengthy = C.faults_op_is_lengthy(code),
  }
end

---Arms the Nth thing of a kind from now on, and `count` of them.
---@param kind integer
---@param nth integer
---@param error integer
---@param count integer?
function armed.arm(kind, nth, error, count)
  C.faults_arm(kind, -1, nth, count or 1, error)
end

---@return integer seen how many there were
---@return integer hits how many of them have failed
function armed.disarm()
  return tonumber(C.faults_disarm()), tonumber(C.faults_hits())
end

---What has failed, and on which way.
---@return string where
---@return string way
function armed.failed()
  return ffi.string(C.faults_where()), ffi.string(C.faults_way())
end

return armed
