/**
 * @generated SignedSource<<4e5685a23994238802a3aa3a390cbd85>>
 * @lightSyntaxTransform
 */

/* eslint-disable */

'use strict';

var node = (function(){
var v0 = [
  {
    "defaultValue": null,
    "kind": "LocalArgument",
    "name": "id"
  }
],
v1 = {
  "alias": null,
  "args": null,
  "kind": "ScalarField",
  "name": "status",
  "storageKey": null
},
v2 = {
  "alias": null,
  "args": null,
  "kind": "ScalarField",
  "name": "version",
  "storageKey": null
},
v3 = [
  {
    "alias": null,
    "args": [
      {
        "items": [
          {
            "kind": "Variable",
            "name": "productIds.0",
            "variableName": "id"
          }
        ],
        "kind": "ListValue",
        "name": "productIds"
      }
    ],
    "concreteType": "StockStatusChange",
    "kind": "LinkedField",
    "name": "stockStatusChanged",
    "plural": false,
    "selections": [
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "productId",
        "storageKey": null
      },
      (v1/*:: as any*/),
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "previousStatus",
        "storageKey": null
      },
      (v2/*:: as any*/),
      {
        "alias": null,
        "args": null,
        "kind": "ScalarField",
        "name": "occurredAt",
        "storageKey": null
      },
      {
        "alias": null,
        "args": null,
        "concreteType": "Stock",
        "kind": "LinkedField",
        "name": "stock",
        "plural": false,
        "selections": [
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "id",
            "storageKey": null
          },
          (v1/*:: as any*/),
          (v2/*:: as any*/)
        ],
        "storageKey": null
      }
    ],
    "storageKey": null
  }
];
return {
  "fragment": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Fragment",
    "metadata": null,
    "name": "documentsWatchStatusSubscription",
    "selections": (v3/*:: as any*/),
    "type": "Subscription",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Operation",
    "name": "documentsWatchStatusSubscription",
    "selections": (v3/*:: as any*/)
  },
  "params": {
    "cacheID": "16b18d88d29f0c1436808c3ddf2ed687",
    "id": null,
    "metadata": {},
    "name": "documentsWatchStatusSubscription",
    "operationKind": "subscription",
    "text": "subscription documentsWatchStatusSubscription(\n  $id: ID!\n) {\n  stockStatusChanged(productIds: [$id]) {\n    productId\n    status\n    previousStatus\n    version\n    occurredAt\n    stock {\n      id\n      status\n      version\n    }\n  }\n}\n"
  }
};
})();

node.hash = "4068b65ed44a566c8710c73077bb8ca7";

export default node;
