// wechatpay-axios-plugin, as published: asks for wallets page by page, keeps the answers.
//
//     node node_sdk.js MERCHANT BASE_URL PAGES

const { appendFileSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { Wechatpay } = require(join(__dirname, '../../tests/peers/node/node_modules/wechatpay-axios-plugin'));

const [folder, baseURL, count] = process.argv.slice(2);
const world = JSON.parse(readFileSync(join(folder, 'world/world.json'), 'utf8'));
const secret = (name) => readFileSync(join(folder, 'secrets', name), 'utf8').trim();

async function main() {
  const { account } = world;
  const client = new Wechatpay({
    baseURL,
    mchid: account.mchid,
    serial: account.merchant_serial_no,
    privateKey: secret('apiclient_key.pem'),
    certs: { [account.public_key_id]: secret('wxp_pub.pem') },
    headers: { 'Wechatpay-Serial': account.public_key_id },
  });
  const openids = [...new Set(world.coupons.map((coupon) => coupon.openid))].sort();
  const params = { appid: account.appid, creator_merchant: account.mchid, offset: 0, limit: 20 };
  const work = mkdtempSync(join(tmpdir(), 'pages-'));
  const [before, start, pages] = [process.cpuUsage(), performance.now(), Number(count)];
  let coupons = 0;
  for (let number = 0; number < pages; number += 1) {
    const openid = openids[number % openids.length];
    const answer = await client.chain('v3/marketing/busifavor/users/{openid}/coupons').get({ openid, params });
    coupons += answer.data.data.length;
    appendFileSync(join(work, 'journal'), `${JSON.stringify(answer.data)}\n`);
  }
  const used = process.cpuUsage(before);
  rmSync(work, { recursive: true });
  const cpuUs = used.user + used.system;
  console.log(JSON.stringify({
    client: 'wechatpay-axios-plugin (Node)',
    pages,
    coupons,
    wall_s: (performance.now() - start) / 1000,
    cpu_s: cpuUs / 1e6,
    page_us: cpuUs / pages,
    peak_kb: process.resourceUsage().maxRSS,
  }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
