// The story of the report, told by the client that most agents have: the API dies
// after the first call, and the images are home all the same.
// node story.mjs PACKAGES PROGRAM ROOT [URL TOKEN]
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'

const [packages, program, root, url, token] = process.argv.slice(2)
const load = createRequire(packages + '/')
const { Client } = load('@modelcontextprotocol/sdk/client/index.js')
const { StdioClientTransport } = load('@modelcontextprotocol/sdk/client/stdio.js')
const { StreamableHTTPClientTransport } = load('@modelcontextprotocol/sdk/client/streamableHttp.js')

const transport = url
  ? new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: 'Bearer ' + token } } })
  : new StdioClientTransport({ command: program, args: ['mcp', '--root', root], env: process.env, stderr: 'inherit' })
const client = new Client({ name: 'story', version: '1' })
// The one thing that this client minds is the answer to a call that it has cancelled.
client.onerror = (error) => { if (!/unknown message ID/.test(error)) throw error }
await client.connect(transport)

const { tools } = await client.listTools() // from here on the client holds answers to their schemas
for (const { name, annotations } of tools) {
  for (const hint of ['readOnlyHint', 'destructiveHint', 'idempotentHint', 'openWorldHint']) {
    assert.equal(typeof annotations[hint], 'boolean', name + ' ' + hint)
  }
}

const call = async (name, args, options) => {
  const result = await client.callTool({ name, arguments: args }, undefined, options)
  assert.ok(!result.isError, name + ': ' + JSON.stringify(result.structuredContent?.error))
  return result.structuredContent
}

assert.equal((await call('fleet_vms', {})).source, 'live')
execFileSync(program, ['sim', 'fault', '503'])

const { source, vms } = await call('fleet_vms', {})
assert.equal(source, 'cache')
const marketing = vms.find((vm) => vm.name === 'marketing')
assert.ok(marketing.key_saved)

const status = await call('fleet_status', {})
assert.equal(status.api.state, 'down')
assert.ok(status.advice)

const drill = await call('fleet_drill', {})
assert.equal(drill.lost, 0)

const said = await call('vm_output', { vm: 'marketing' })
assert.ok(said.untrusted && said.text)
assert.ok((await call('vm_status', { vm: 'marketing' })).phase)

let told = 0
const pulled = await call('vm_pull', { vm: 'marketing' }, { onprogress: () => { told++ } })
assert.ok(pulled.files > 0 && pulled.failed === 0 && pulled.verified === 'sha256')
assert.ok(told > 0, 'no progress was told')

const commit = await call('vm_commit', { vm: 'marketing', name: 'images' })
assert.equal(commit.status, 'queued')

const wrong = await client.callTool({ name: 'vm_exec', arguments: { vm: 'nobody', command: 'true' } })
assert.ok(wrong.isError && wrong.structuredContent.error.next)

const stop = new AbortController()
const waiting = client.callTool({ name: 'vm_wait', arguments: { vm: marketing.vm_id } }, undefined, { signal: stop.signal, onprogress: () => stop.abort() })
await assert.rejects(waiting)

assert.match((await client.readResource({ uri: 'fleet://vm/marketing/output' })).contents[0].text, /^Untrusted/)
assert.equal(JSON.parse((await client.readResource({ uri: 'fleet://status' })).contents[0].text).api.state, 'down')
assert.equal((await client.listPrompts()).prompts.length, 2)
client.onerror = () => {} // of streams that it closes itself
await client.close()
console.log(pulled.dest)
