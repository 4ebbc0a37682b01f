"""SDKs that others wrote talk to our simulator: wechatpayv3 (APIv3), wechatpy (v2 and the official
account platform). They must succeed with the merchant's keys and fail with others.

    python_sdks.py MERCHANT_FOLDER BASE_URL
"""

import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from requests.adapters import HTTPAdapter
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpy import WeChatClient
from wechatpy.exceptions import WeChatClientException, WeChatPayException
from wechatpy.pay import WeChatPay as WeChatPayV2

done = []


def check(what, holds, detail=""):
    if not holds:
        sys.exit(f"FAIL {what}: {detail}")
    done.append(what)


class Merchant:
    def __init__(self, folder):
        self.folder = folder
        self.world = json.loads((folder / "world/world.json").read_text())
        self.account = self.world["account"]

    def secret(self, name):
        return (self.folder / "secrets" / name).read_text().strip()


class Detour(HTTPAdapter):
    """Sends what is meant for WeChat to the simulator; the SDK's own code stays as published."""

    def __init__(self, host, base_url):
        super().__init__()
        self.host, self.base_url = host, base_url

    def send(self, request, **options):
        request.url = request.url.replace(self.host, self.base_url, 1)
        return super().send(request, **options)


def pay_v3(merchant, base_url, **changes):
    account = merchant.account
    settings = dict(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=account["mchid"],
        private_key=merchant.secret("apiclient_key.pem"),
        cert_serial_no=account["merchant_serial_no"],
        appid=account["appid"],
        apiv3_key=account["api_v3_key"],
        public_key=merchant.secret("wxp_pub.pem"),
        public_key_id=account["public_key_id"],
    )
    sdk = WeChatPay(**{**settings, **changes})
    sdk._core._gate_way = base_url
    return sdk


def foreign_keys():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def talk_v3(merchant, base_url):
    sdk = pay_v3(merchant, base_url)
    for stock_id in merchant.world["stocks"]:
        code, text = sdk.marketing_busifavor_stock_query(stock_id)
        check(f"v3 stock {stock_id}", code == 200 and json.loads(text)["stock_id"] == stock_id, text)
    coupon = next(it for it in merchant.world["coupons"] if not it.get("delete_time"))
    code, text = sdk.marketing_busifavor_user_coupon(coupon["openid"], creator_merchant=merchant.account["mchid"])
    check("v3 coupons of a user", code == 200 and json.loads(text)["total_count"] > 0, text)
    code, text = sdk.marketing_busifavor_coupon_detail(coupon["coupon_code"], coupon["openid"])
    check("v3 one coupon", code == 200 and json.loads(text)["coupon_code"] == coupon["coupon_code"], text)
    code, text = sdk.marketing_busifavor_callback_update(notify_url="https://coffee.example/新")
    check("v3 callbacks written", code == 200, text)
    code, text = sdk.marketing_busifavor_callback_query()
    check("v3 callbacks read", json.loads(text)["notify_url"] == "https://coffee.example/新", text)
    code, text = sdk.marketing_busifavor_stock_query("1")
    check("v3 unknown stock", code == 404, text)


def talk_v3_certificates(merchant, base_url):
    """The certificate way: the list is decrypted with the APIv3 key, answers name its serial."""
    sdk = pay_v3(merchant, base_url)
    sdk._core._public_key = sdk._core._public_key_id = None
    sdk._core._update_certificates()
    check("v3 certificates decrypted", len(sdk._core._certificates) > 0, "no certificate")
    code, text = sdk.marketing_busifavor_callback_query()
    check("v3 verified by certificate", code == 200, text)


def fail_v3(merchant, base_url):
    private, public = foreign_keys()
    code, text = pay_v3(merchant, base_url, private_key=private).marketing_busifavor_callback_query()
    check("v3 foreign merchant key is 401", code == 401 and json.loads(text)["code"] == "SIGN_ERROR", text)
    code, text = pay_v3(merchant, base_url, cert_serial_no="1DDE55AD98ED").marketing_busifavor_callback_query()
    check("v3 foreign serial is 401", code == 401, text)
    try:
        pay_v3(merchant, base_url, public_key=public).marketing_busifavor_callback_query()
        check("v3 foreign platform key", False, "the SDK accepted the signature")
    except Exception as error:
        check("v3 foreign platform key is noticed", "verify the signature" in str(error), error)


def pay_v2(merchant, base_url, api_key):
    account = merchant.account
    sdk = WeChatPayV2(account["appid"], api_key, account["mchid"])
    sdk._http.mount("https://api.mch.weixin.qq.com", Detour("https://api.mch.weixin.qq.com", base_url))
    return sdk


def talk_v2(merchant, base_url):
    sdk = pay_v2(merchant, base_url, merchant.account["v2_key"])
    unsigned = merchant.world.get("v2_unsigned_stocks", [])
    stock_id = next(it for it in merchant.world["v2_stocks"] if it not in unsigned)
    stock = sdk.coupon.query_stock(stock_id)
    check("v2 stock", stock["coupon_stock_id"] == stock_id, stock)
    check("v2 signature of the answer", sdk.check_signature(dict(stock)), stock)
    openid = merchant.world["coupons"][0]["openid"]
    sent = sdk.coupon.send(openid, stock_id, out_trade_no="PEER1")
    check("v2 coupon sent", sent["ret_code"] == "SUCCESS" and sent["coupon_id"], sent)
    coupon = sdk.post(
        "mmpaymkttransfers/querycouponsinfo",
        data={"appid": sdk.appid, "coupon_id": sent["coupon_id"], "openid": openid, "stock_id": stock_id},
    )
    check("v2 coupon read", coupon["coupon_state"] == "SENDED", coupon)
    try:
        pay_v2(merchant, base_url, "0" * 32).coupon.query_stock(stock_id)
        check("v2 foreign key", False, "it was accepted")
    except WeChatPayException as error:
        check("v2 foreign key is refused", error.return_code == "FAIL", error)


def platform(merchant, base_url, secret):
    sdk = WeChatClient(merchant.account["appid"], secret)
    sdk._http.mount("https://api.weixin.qq.com", Detour("https://api.weixin.qq.com", base_url))
    return sdk


def talk_mp(merchant, base_url):
    sdk = platform(merchant, base_url, merchant.account["mp_secret"])
    page = sdk.card.batch_get(0, 50)
    ids = page if isinstance(page, list) else page["card_id_list"]
    check("MP cards", set(ids) == set(merchant.world["cards"]), page)
    card = sdk.card.get(ids[0])
    check("MP card", "card_type" in card, card)
    check("MP token is kept", bool(sdk.access_token), "")
    try:
        platform(merchant, base_url, "0" * 32).card.batch_get(0, 50)
        check("MP foreign secret", False, "it was accepted")
    except WeChatClientException as error:
        check("MP foreign secret is refused", error.errcode == 40125, error)


def main():
    merchant, base_url = Merchant(Path(sys.argv[1])), sys.argv[2]
    for talk in [talk_v3, talk_v3_certificates, fail_v3, talk_v2, talk_mp]:
        talk(merchant, base_url)
    print(f"{len(done)} checks of wechatpayv3 and wechatpy hold:\n  " + "\n  ".join(done))


if __name__ == "__main__":
    main()
