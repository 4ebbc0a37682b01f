//! The program: hands the command line to the library.

fn main() {
    coupon_recon::cli::main()
}
