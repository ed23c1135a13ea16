import type { Text } from './text.js';

/** 公众号 or 小程序. */
export type AccountType = 'official_account' | 'mini_program';

/** A bundle of APIs that an administrator grants as a whole (权限集). */
export interface PermissionSet {
  id: number;
  /** WeChat's own name for it. */
  name: string;
  accountType: AccountType;
  /** Whether only one platform at a time can hold it for an account; null where WeChat does not say. */
  exclusive: boolean | null;
}

type Row = readonly [id: number, name: string, exclusive: boolean | null];

const OFFICIAL_ACCOUNT: readonly Row[] = [
  [1, '消息管理', false],
  [2, '用户管理', false],
  [3, '账号服务', false],
  [4, '网页服务', true],
  [5, '微信小店', false],
  [6, '微信多客服', false],
  [7, '群发与通知', false],
  [8, '微信卡券', false],
  [9, '微信扫一扫', false],
  [10, '微信连WIFI', false],
  [11, '素材管理', false],
  [12, '微信摇周边', false],
  [13, '微信门店', false],
  [14, '微信支付', null],
  [15, '菜单管理', false],
  [16, '获取认证状态及信息', null],
  [22, '城市服务', false],
  [23, '广告管理', false],
  [24, '开放平台账号管理', true],
  [26, '微信电子发票', false],
  [27, '快速注册小程序', false],
  [33, '小程序关联管理', false],
  [34, '微信商品库管理', true],
  [35, '公众号卡路里', null],
  [44, '好物圈', false],
  [46, '微信一物一码', false],
  [47, '微信财政电子票据', false],
  [54, '服务号对话管理', true],
  [66, '微信服务市场管理', false],
  [89, '服务号订阅通知', false],
  [113, '就医助手', false],
  [121, '公众号购物订单', null],
  [172, '消息推送调试', null],
];

const MINI_PROGRAM: readonly Row[] = [
  [17, '获取小程序码', false],
  [18, '小程序开发与数据分析', true],
  [19, '小程序客服管理', false],
  [20, '微信登录', null],
  [21, '数据分析', null],
  [25, '开放平台账号管理', true],
  [30, '小程序基本信息管理', false],
  [31, '小程序认证名称检测', false],
  [36, '微信卡路里管理', false],
  [37, '附近的小程序管理', false],
  [40, '小程序插件管理', true],
  [41, '好物圈管理', true],
  [45, '微信物流服务', true],
  [48, '微信财政电子票据管理', false],
  [49, '小程序云开发管理', true],
  [51, '小程序即时配送', true],
  [52, '小程序直播管理', false],
  [57, '小程序搜索', null],
  [65, '小程序广告管理', false],
  [67, '微信服务市场管理', false],
  [70, '标准版交易组件商品管理', false],
  [71, '标准版交易组件订单物流与售后管理', false],
  [73, '标准版交易组件接入', true],
  [76, '小程序违规与交易投诉管理', true],
  [81, '试用小程序快速认证', true],
  [84, '标准版交易组件优惠券管理', false],
  [85, '自定义版交易组件管理', null],
  [86, '小商店装修', null],
  [88, '小程序链接管理', false],
  [93, '小程序联盟管理', null],
  [99, '云开发短信服务', null],
  [102, '云开发微信支付', null],
  [104, '标准版组件资金链路', null],
  [105, '城市服务', null],
  [107, '连接器电商场景接入', null],
  [112, '红包封面管理', null],
  [116, '获取自定义版交易组件数据', null],
  [117, '小程序图像处理', null],
  [118, '硬件服务', null],
  [119, '小程序支付管理服务', true],
  [120, '小程序购物订单', null],
  [129, '视频号小店商品管理', null],
  [130, '视频号小店物流管理', null],
  [131, '视频号小店订单与售后管理', null],
  [132, '视频号小店优惠券管理', null],
  [133, '视频号商品橱窗管理', null],
  [135, '流量主代运营', null],
  [138, '视频号小店资金管理', null],
  [139, '小程序运费险', null],
  [140, '小程序推广员', null],
  [141, '视频号小店优选联盟', null],
  [142, '小程序发货管理服务', null],
  [144, '小程序学生认证', null],
  [151, '小程序交易保障', null],
  [153, '微短剧小程序资源管理', null],
  [156, '小程序备案服务', null],
  [157, '小程序虚拟支付管理', null],
  [158, '小程序B2b门店助手', null],
  [159, '视频号电子面单管理', null],
  [161, '微信客服管理', null],
  [171, '消息推送调试', null],
  [173, '消息推送调试（小游戏）', null],
  [175, '小店数据', null],
  [182, '小程序订单管理服务', null],
  [185, '小程序管理微信小店会员（读）', null],
  [186, '小程序管理微信小店会员（写）', null],
];

/**
 * Every permission set we know of, by id. WeChat adds new ones several times a year.
 *
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/product/third_party_authority_instructions.html
 */
export const PERMISSION_SETS: ReadonlyMap<number, PermissionSet> = new Map(
  [
    ...OFFICIAL_ACCOUNT.map((row) => toSet(row, 'official_account')),
    ...MINI_PROGRAM.map((row) => toSet(row, 'mini_program')),
  ].map((set) => [set.id, set]),
);

function toSet([id, name, exclusive]: Row, accountType: AccountType): PermissionSet {
  return { id, name, accountType, exclusive };
}

/** The name to show. An id that we do not know gets one that says so. */
export function permissionName(id: number): string {
  return PERMISSION_SETS.get(id)?.name ?? `权限集 ${id}`;
}

/** A permission set that the service cannot do without, with what it is for. */
export interface MinimumPermission {
  id: number;
  name: string;
  purpose: Text;
}

/** What an account must have granted before it can be switched on. None of these is exclusive. */
export const MINIMUM_PERMISSIONS: Readonly<Record<AccountType, readonly MinimumPermission[]>> = {
  official_account: [
    minimum(1, '接收并回复消息', 'Receive and answer messages'),
    minimum(2, '读取粉丝与标签', 'Read followers and tags'),
    minimum(3, '生成带参数的二维码', 'Make parametric QR codes'),
    minimum(7, '群发消息与模板消息', 'Send broadcasts and template messages'),
    minimum(8, '发放卡券', 'Hand out cards and coupons'),
    minimum(11, '上传图片与图文素材', 'Upload pictures and articles'),
    minimum(15, '管理自定义菜单', 'Manage the menu'),
  ],
  mini_program: [
    minimum(17, '生成小程序码', 'Make mini-program codes'),
    minimum(19, '接收并发送客服消息', 'Receive and send customer-service messages'),
    minimum(30, '读取基本信息', 'Read the basic profile'),
    minimum(88, '生成小程序链接', 'Make links into the mini-program'),
  ],
};

function minimum(id: number, zh: string, en: string): MinimumPermission {
  return { id, name: permissionName(id), purpose: { zh, en } };
}

/** Tells the account's type by what was granted, while nothing better is known; null when that does not tell. */
export function accountTypeOf(permissionIds: readonly number[]): AccountType | null {
  const known = permissionIds.map((id) => PERMISSION_SETS.get(id)).find((set) => set !== undefined);
  return known?.accountType ?? null;
}
