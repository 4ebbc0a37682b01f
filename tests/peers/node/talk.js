// wechatpay-axios-plugin, as published, talks to our simulator: succeeds with the merchant's keys and
// fails with others.
//
//     node talk.js MERCHANT_FOLDER BASE_URL

const { generateKeyPairSync } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { Wechatpay } = require('wechatpay-axios-plugin');

const [folder, baseURL] = process.argv.slice(2);
const world = JSON.parse(readFileSync(join(folder, 'world/world.json'), 'utf8'));
const secret = (name) => readFileSync(join(folder, 'secrets', name), 'utf8').trim();
const done = [];

function check(what, holds, detail) {
  if (!holds) {
    console.error(`FAIL ${what}:`, detail);
    process.exit(1);
  }
  done.push(what);
}

function client(changes = {}) {
  return new Wechatpay({
    baseURL,
    mchid: world.account.mchid,
    serial: world.account.merchant_serial_no,
    privateKey: secret('apiclient_key.pem'),
    certs: { [world.account.public_key_id]: secret('wxp_pub.pem') },
    headers: { 'Wechatpay-Serial': world.account.public_key_id },
    ...changes,
  });
}

function foreign() {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

async function main() {
  const stockId = Object.keys(world.stocks)[0];
  const stock = await client().chain('v3/marketing/busifavor/stocks/{stock_id}').get({ stock_id: stockId });
  check('stock', stock.data.stock_id === stockId, stock.data);
  const { openid } = world.coupons[0];
  const coupons = await client()
    .chain('v3/marketing/busifavor/users/{openid}/coupons')
    .get({ openid, params: { appid: world.account.appid, creator_merchant: world.account.mchid } });
  check('coupons of a user', coupons.data.total_count > 0, coupons.data);
  const written = await client()
    .chain('v3/marketing/busifavor/callbacks')
    .post({ mchid: world.account.mchid, notify_url: 'https://coffee.example/券' });
  check('callbacks written', written.status === 200, written.data);

  const refused = await client({ privateKey: foreign().privateKey })
    .chain('v3/marketing/busifavor/callbacks')
    .get()
    .catch((error) => error.response);
  check('foreign merchant key is 401', refused?.status === 401, refused?.data);
  const noticed = await client({ certs: { [world.account.public_key_id]: foreign().publicKey } })
    .chain('v3/marketing/busifavor/callbacks')
    .get()
    .then(() => null, (error) => error.message);
  check('foreign platform key is noticed', /^Verify the response's data .* failed/s.test(noticed ?? ''), noticed);
  console.log(`${done.length} checks of wechatpay-axios-plugin hold:\n  ${done.join('\n  ')}`);
}

main().catch((error) => {
  console.error('FAIL', error.response?.status, error.response?.data ?? error);
  process.exit(1);
});
