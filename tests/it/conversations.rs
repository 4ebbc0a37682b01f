//! Typed calls against the simulator: each side can read what the other writes. Cards of the official
//! account platform and coupons of v2; the other write calls are covered by the simulator's own tests.

use coupon_recon::clock::World;
use coupon_recon::job::{self, Job, OnMismatch};
use coupon_recon::wechat::mp::{Mp, cards, delivery};
use coupon_recon::wechat::pay_v2::{PayV2, SignatureCheck, coupon, coupon_stock, send_coupon};
use coupon_recon::wechat::{FailureKind, Request};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::{NOW, Shop, Wechat};

/// A shop's clients, asking the simulator.
struct Clients {
    runtime: Runtime,
    mp: Mp,
    pay_v2: PayV2,
}

impl Clients {
    fn of(shop: &Shop, wechat: &Wechat) -> Clients {
        let Job { mp, pay_v2, .. } = job::load(&shop.path("job.toml"), &|_| None).unwrap();
        let (mut mp, mut pay_v2) = (mp.unwrap(), pay_v2.unwrap());
        for limits in [&mut mp.limits, &mut pay_v2.limits] {
            limits.base_url = wechat.running().base_url().parse().unwrap();
        }
        pay_v2.on_mismatch = OnMismatch::Fail;
        let world = World::at(NOW.parse().unwrap());
        let mp = Mp::new(&mp, world.clone()).unwrap();
        let pay_v2 = PayV2::new(&pay_v2, world).unwrap();
        Clients { runtime: Runtime::new().unwrap(), mp, pay_v2 }
    }

    fn tell<T>(&self, request: Request<T>) -> T {
        let answer = self.runtime.block_on(self.mp.send(&request)).unwrap();
        request.parse(&answer.body).unwrap()
    }

    fn refusal<T>(&self, request: Request<T>) -> FailureKind {
        self.runtime.block_on(self.mp.send(&request)).unwrap_err().kind()
    }

    fn ask_v2<T>(&self, request: Request<T>) -> T {
        let answer = self.runtime.block_on(self.pay_v2.send(&request)).unwrap();
        assert_eq!(self.pay_v2.check_signature(&answer.body), SignatureCheck::Verified);
        request.parse(&answer.body).unwrap()
    }
}

#[test]
fn a_card_lives_from_creation_to_deletion() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let clients = Clients::of(&shop, &wechat);
    let details = json!({"deal_detail": "双人餐", "base_info": {"title": "团购", "sku": {"quantity": 10}}});
    let card_id = clients.tell(cards::create_card("GROUPON", &details)).card_id;
    clients.tell(cards::modify_stock(&card_id, -3));
    let change = json!({"base_info": {"description": "改"}});
    assert_eq!(clients.tell(cards::update_card(&card_id, "GROUPON", &change)).send_check, Some(true));
    let link = delivery::CardLink { card_id: Some(card_id.clone()), ..delivery::CardLink::default() };
    assert!(clients.tell(delivery::create_qrcode(std::slice::from_ref(&link), Some(1800))).ticket.is_some());
    let page = delivery::NewLandingPage {
        scene: Some("SCENE_H5".into()),
        card_list: vec![link],
        ..delivery::NewLandingPage::default()
    };
    assert!(clients.tell(delivery::create_landing_page(&page)).page_id.is_some());
    clients.tell(delivery::set_self_consume_cell(&card_id, true, false, false));
    assert_eq!(clients.tell(delivery::set_test_whitelist(&["o1"], &["tom"])).white_list_size, Some(2));
    clients.tell(cards::delete_card(&card_id));
    let base = clients.tell(cards::card(&card_id)).card.base_info().unwrap();
    assert_eq!((base.status.as_deref(), base.description.as_deref()), (Some("CARD_STATUS_DELETE"), Some("改")));
    assert_eq!(base.sku.unwrap().quantity, Some(7));
    assert_eq!(clients.refusal(cards::card("nope")), FailureKind::NotFound);
}

#[test]
fn a_coupon_of_v2_is_sent_once_and_read() {
    let shop = Shop::of_seed(1);
    let wechat = shop.serve(None);
    let clients = Clients::of(&shop, &wechat);
    let sent = clients.ask_v2(send_coupon("9728595", "oPeer", "N1"));
    assert!(sent.is_sent());
    assert_eq!(clients.ask_v2(send_coupon("9728595", "oPeer", "N1")), sent);
    clients.ask_v2(coupon(&sent.coupon_id.unwrap(), "oPeer", "9728595"));
    clients.ask_v2(coupon_stock("9728595"));
}
