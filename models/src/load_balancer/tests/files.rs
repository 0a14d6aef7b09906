//! What an experiment file may say.

use super::*;

#[test]
fn a_bare_name_is_a_preset() {
    assert_eq!(LoadBalancerSpec::NAMES.len(), Preset::ALL.len());
    for name in LoadBalancerSpec::NAMES {
        let bare = spec(&format!("\"{name}\""));
        assert_eq!((bare.name(), Some(&bare)), (*name, LoadBalancerSpec::by_name(name).as_ref()));
        assert_eq!(bare, spec(&format!("{{\"{name}\":{{}}}}")));
        LoadBalancer::build(&bare, &facts(true), draws(1)).expect(name);
    }
    assert_eq!(LoadBalancerSpec::default().name(), "instanceTargets");
    assert!(LoadBalancerSpec::by_name("nlb").is_none());
}

#[test]
fn what_is_written_reads_back() {
    let changed =
        r#"{"awsNlbIp":{"crossZone":true,"healthCheck":{"interval":"5s"},"localHealthCheck":{"timeout":"1s"},"draining":"300s"}}"#;
    let names = LoadBalancerSpec::NAMES.iter().map(|name| format!("\"{name}\""));
    for json in names.chain([changed.to_owned(), r#"{"metallbBgp":{"algorithm":{"ecmp":{"resilient":true}}}}"#.to_owned()]) {
        let spec = spec(&json);
        let written = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<LoadBalancerSpec>(&written).expect(&written), spec, "{json}");
    }
}

#[test]
fn what_is_set_goes_before_the_preset_and_nothing_else_changes() {
    let found = spec(r#"{"awsNlbIp":{"crossZone":true,"healthCheck":{"interval":"5s"}}}"#).parameters;
    let mut expected = Preset::AwsNlbIp.parameters();
    expected.cross_zone = true;
    for check in [&mut expected.health_check, &mut expected.local_health_check] {
        check.as_mut().unwrap().interval = secs(5);
    }
    assert_eq!(found, expected, "healthCheck sets the check under either policy");
    let both =
        spec(r#"{"googlePassthrough":{"healthCheck":{"interval":"5s"},"localHealthCheck":{"interval":"2s"},"subset":25}}"#).parameters;
    assert_eq!([both.health_check, both.local_health_check].map(|c| c.unwrap().interval), [secs(5), secs(2)]);
    assert_eq!((both.subset, both.local_subset), (Some(25), Some(25)));
    let complete = r#"{"metallbL2":{"healthCheck":{"interval":"1s","timeout":"1s","healthyThreshold":1,"unhealthyThreshold":1}}}"#;
    assert!(empty(complete).health_check().is_some());
}

#[test]
fn todays_settings_still_read() {
    let old = r#"{"instanceTargets":{"delay":"70us","healthCheck":{"interval":"4s","healthyThreshold":1,"unhealthyThreshold":3}}}"#;
    let check = spec(old).parameters.local_health_check.unwrap();
    assert_eq!((check.interval, check.healthy_threshold, check.unhealthy_threshold), (secs(4), 1, 3));
}

#[test]
fn what_cannot_be_read_says_why() {
    for (json, why) in [
        (r#""nlb""#, "unknown variant `nlb`, expected one of `instanceTargets`, `ipTargets`"),
        (r#"{"nlb":{}}"#, "unknown variant `nlb`"),
        ("5", "expected a load balancer, such as awsNlbIp"),
        ("{}", "expected a load balancer, such as awsNlbIp"),
        (r#"{"awsNlbIp":{},"awsNlbInstance":{}}"#, "found two: `awsNlbIp` and `awsNlbInstance`"),
        (r#"{"awsNlbIp":{"crosszone":true}}"#, "unknown field `crosszone`"),
        (r#"{"awsNlbIp":{"healthCheck":{"period":"5s"}}}"#, "unknown field `period`"),
        (r#"{"awsNlbIp":{"algorithm":"random"}}"#, "unknown variant `random`, expected one of `flowHash`, `roundRobin`"),
        (r#"{"awsNlbIp":{"algorithm":{"maglev":{"size":7}}}}"#, "unknown field `size`"),
    ] {
        let error = serde_json::from_str::<LoadBalancerSpec>(json).expect_err(json).to_string();
        assert!(error.contains(why), "{json}: {error}");
    }
}

#[test]
fn what_makes_no_sense_names_its_field() {
    for (json, field) in [
        (r#"{"instanceTargets":{"delay":{"exponential":{"mean":"0s"}}}}"#, "instanceTargets.delay"),
        (r#"{"awsNlbIp":{"registrationDelay":{"exponential":{"mean":"0s"}}}}"#, "awsNlbIp.registrationDelay"),
        (r#"{"awsNlbIp":{"deregistrationDelay":{"exponential":{"mean":"0s"}}}}"#, "awsNlbIp.deregistrationDelay"),
        (r#"{"metallbBgp":{"failureDetection":{"exponential":{"mean":"0s"}}}}"#, "metallbBgp.failureDetection"),
        (r#"{"metallbL2":{"algorithm":{"leader":{"failover":{"exponential":{"mean":"0s"}}}}}}"#, "metallbL2.algorithm.leader.failover"),
        (r#"{"awsNlbIp":{"healthCheck":{"interval":"0s"}}}"#, "awsNlbIp.healthCheck.interval"),
        (r#"{"awsNlbIp":{"healthCheck":{"timeout":"0s"}}}"#, "awsNlbIp.healthCheck.timeout"),
        (r#"{"awsNlbIp":{"healthCheck":{"healthyThreshold":0}}}"#, "awsNlbIp.healthCheck.healthyThreshold"),
        (r#"{"awsNlbIp":{"localHealthCheck":{"unhealthyThreshold":0}}}"#, "awsNlbIp.localHealthCheck.unhealthyThreshold"),
        (r#"{"metallbL2":{"healthCheck":{"interval":"1s"}}}"#, "metallbL2.healthCheck.timeout"),
        (r#"{"googlePassthrough":{"algorithm":{"maglev":{"tableSize":65536}}}}"#, "googlePassthrough.algorithm.maglev.tableSize"),
        (r#"{"googlePassthrough":{"subset":0}}"#, "googlePassthrough.subset"),
        (r#"{"googlePassthrough":{"localSubset":0}}"#, "googlePassthrough.localSubset"),
        (r#"{"googleNeg":{"connectionTracking":false}}"#, "googleNeg.connectionTracking"),
        (r#"{"metallbL2":{"crossZone":false}}"#, "metallbL2.crossZone"),
        (r#"{"ipTargets":{"arrival":"vip"}}"#, "ipTargets.arrival"),
    ] {
        let error = LoadBalancer::build(&spec(json), &facts(false), draws(1)).expect_err(json);
        assert_eq!(error.field, format!("loadBalancer.{field}"), "{json}: {error}");
    }
}
